"""Where an episode came from is said whole, or the episode is refused."""

from dataclasses import replace

import pytest
from episode_examples import an_episode, steps_of

from o2o_robot.data.provenance import episode_provenance
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError
from o2o_robot.recorder import Recorder

NOW = "2026-11-21T18:00:00+00:00"
WHOLE = episode_provenance(source="peg_3.mcap", source_fingerprint="ab12", contract="twin", created_at=NOW)


def test_provenance_names_source_contract_software_and_time():
    assert {"o2o_robot", "python", "numpy", "zarr", "git_revision"} <= set(WHOLE["software"])
    told = {name: value for name, value in WHOLE.items() if name != "software"}
    assert told == {
        "source": "peg_3.mcap",
        "source_fingerprint": "ab12",
        "contract": "twin",
        "contract_fingerprint": "",
        "created_at": NOW,
    }


BROKEN = {
    "lacks source_fingerprint": {k: v for k, v in WHOLE.items() if k != "source_fingerprint"},
    "lacks source, source_fingerprint": "peg_3.mcap",
    "has source = ''": {**WHOLE, "source": ""},
    "has contract = None": {**WHOLE, "contract": None},
    "has software = 'mine'": {**WHOLE, "software": "mine"},
    "has created_at = 'yesterday'": {**WHOLE, "created_at": "yesterday"},
}


@pytest.mark.parametrize("complaint", BROKEN)
def test_an_episode_with_half_a_provenance_is_refused_at_append(tmp_path, complaint):
    with EpisodeStore.create(tmp_path / "s") as store:
        with pytest.raises(DataError) as refusal:
            store.append(replace(an_episode(), meta={"provenance": BROKEN[complaint]}))
        assert complaint in str(refusal.value)
        assert len(store) == 0
        store.append(replace(an_episode(), meta={"provenance": {**WHOLE, "episode": 2}}))
        assert store.meta(0)["provenance"]["source"] == "peg_3.mcap"


def test_provenance_without_a_source_or_a_time_cannot_be_made():
    for wrong in ({"source": "", "created_at": NOW}, {"source": "x", "created_at": "now"}):
        with pytest.raises(DataError):
            episode_provenance(**wrong)


def test_the_recorder_asks_for_the_provenance_of_each_episode_when_it_commits_it(tmp_path):
    times = iter([NOW, "2026-11-21T18:00:07+00:00"])
    with EpisodeStore.create(tmp_path / "s") as store:
        recorder = Recorder(
            store, provenance=lambda: episode_provenance(source="recorder_node", created_at=next(times))
        )
        for name in "ab":
            for step in steps_of(an_episode(3), name):
                recorder.add(step)
            recorder.end(name)
        assert [store.meta(i)["provenance"]["created_at"][-8:-6] for i in range(2)] == ["00", "07"]
