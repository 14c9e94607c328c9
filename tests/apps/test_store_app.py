"""`o2o store`: what each word says and leaves behind."""

import sys
from pathlib import Path

import pytest
import tyro

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
from episode_examples import an_episode

from o2o_robot.apps import store as story
from o2o_robot.data.labels import Correction
from o2o_robot.data.provenance import episode_provenance
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import StoreError


@pytest.fixture
def path(tmp_path):
    made = episode_provenance(source="peg_3.mcap", created_at="2026-11-21T18:00:00+00:00")
    with EpisodeStore.create(tmp_path / "s.zarr") as store:
        for seed in range(3):
            store.append(an_episode(seed=seed, meta={"id": f"ep-{seed}", "outcome": "failure", "provenance": made}))
    return tmp_path / "s.zarr"


@pytest.fixture
def say(capsys):
    """Run one line of the story; its exit code, and what it printed."""

    def run(*words):
        code = tyro.extras.subcommand_cli_from_dict(story.WORDS, args=[str(word) for word in words])
        return code, capsys.readouterr().out

    return run


def test_every_word_of_the_story_is_there_and_has_a_help(say, capsys):
    assert set(story.WORDS) == {"list", "delete", "undelete", "compact", "merge", "verify", "migrate"}
    for word in story.WORDS:
        with pytest.raises(SystemExit) as ended:
            say(word, "--help")
        assert ended.value.code == 0
        assert "usage" in capsys.readouterr().out


def test_the_list_shows_number_outcome_correction_and_origin_of_every_episode(path, say):
    with EpisodeStore.open(path, "a") as store:
        store.correct(1, Correction("success", who="anna"))
    code, text = say("list", path)
    assert code == 0
    rows = [line.split() for line in text.splitlines() if line.strip().startswith("0000")]
    assert [row[0] for row in rows] == ["000000", "000001", "000002"]
    assert [row[2] for row in rows] == ["failure", "success", "failure"]
    assert "hand anna" in text
    assert text.count("peg_3.mcap") == 3
    assert "3 episodes, 15 steps, 0 deleted" in text
    last = say("list", path, "--limit", 1)[1]
    assert [number in last for number in ("000000", "000001", "000002")] == [False, False, True]


def test_deleting_and_taking_back_go_by_number_with_a_reason(path, say):
    assert say("delete", path, 0, "000002", 0, "--reason", "lens covered")[0] == 0
    assert "lens covered" in say("list", path, "--deleted")[1]
    assert "1 episodes, 5 steps, 2 deleted" in say("list", path)[1]
    assert say("undelete", path, 2)[0] == 0
    assert "000002" in say("list", path)[1]
    code, text = say("compact", path)
    assert (code, "removed: 1" in text) == (0, True)
    assert "compacted away" in say("list", path, "--deleted")[1]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["delete", 0, 7, "--reason", "bad"], "000007 .* is not there"),
        (["delete", 0, "x", "--reason", "bad"], "'x' is no episode's number"),
        (["delete", "--reason", "bad"], "nothing was named"),
        (["undelete", 1, 0], "000001 .* is not deleted"),
    ],
)
def test_one_wrong_number_among_several_changes_nothing(path, say, words, complaint):
    before = EpisodeStore.open(path).fingerprint()
    with pytest.raises(StoreError, match=complaint):
        say(words[0], path, *words[1:])
    assert EpisodeStore.open(path).fingerprint() == before


def test_one_number_that_cannot_come_back_among_several_brings_none_back(path, say):
    say("delete", path, 0, 1, "--reason", "bad")
    with pytest.raises(StoreError, match=r"000002 .* is not deleted"):
        say("undelete", path, 0, 2)
    assert list(EpisodeStore.open(path).deleted) == ["000000", "000001"]


def test_verify_tells_every_damaged_episode_and_exits_with_1(path, say):
    assert say("verify", path)[0] == 0
    (path / "episodes/000001/action/c.0.0").write_bytes(bytes(64))
    (path / "episodes/000002/zarr.json").write_text("")
    code, text = say("verify", path)
    assert code == 1
    assert "000001 cannot be read (action:" in text
    assert "000002 has no readable marker" in text
    assert "2 episodes read, 2 damaged" in text


def test_merge_makes_the_store_and_says_what_it_skipped(path, tmp_path, say):
    with EpisodeStore.create(tmp_path / "t.zarr") as other:
        other.append(an_episode(seed=0, meta={"id": "ep-0"}))
        other.append(an_episode(seed=9, meta={"id": "ep-9"}))
    code, text = say("merge", path, tmp_path / "t.zarr", "--out", tmp_path / "m.zarr")
    assert code == 0
    assert "4 episodes taken, 1 skipped, 4 now" in text
    assert len(EpisodeStore.open(tmp_path / "m.zarr")) == 4
    with EpisodeStore.create(tmp_path / "u.zarr") as other:
        other.append(an_episode(side=4))
    with pytest.raises(StoreError, match="4x4x3"):
        say("merge", path, tmp_path / "u.zarr", "--out", tmp_path / "n.zarr")
    assert not (tmp_path / "n.zarr").exists()


def test_migrate_says_what_a_store_was(path, say):
    assert "of schema version 2 already" in say("migrate", path)[1]
