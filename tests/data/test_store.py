"""The archive: what went in comes out, whatever happens to its writer."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from episode_examples import an_episode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from o2o_robot.data import episode as ep
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError, StoreError
from o2o_robot.types import Episode

FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)
FACTS = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def episodes(draw: st.DrawFn) -> Episode:
    """Any valid episode: 1 to 70 steps, 0 to 2 cameras of any size, any bits that are allowed."""
    n, seed = draw(st.integers(1, 70)), draw(st.integers(0, 2**32))
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    cameras = draw(st.sampled_from([(), ("wrist",), ("front", "a-b.c")]))
    end = draw(st.sampled_from(["terminated", "truncated", "open"]))
    rng = np.random.default_rng(seed)
    return replace(
        an_episode(n, seed=seed, end=end, n_action=draw(st.integers(1, 26))),
        images={name: rng.integers(0, 256, (n + 1, height, width, 3), dtype=np.uint8) for name in cameras},
        state=draw(st.dictionaries(st.sampled_from("xy"), hnp.arrays("f4", (n + 1, 2), elements=FLOATS))),
        meta=draw(st.dictionaries(st.text(max_size=8), FACTS, max_size=4)),
    )


@given(given_episodes=st.lists(episodes(), min_size=1, max_size=3))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_went_into_the_store_comes_out_bit_for_bit(given_episodes):
    with tempfile.TemporaryDirectory() as folder:
        with EpisodeStore.create(Path(folder) / "s") as store:
            assert [store.append(e) for e in given_episodes] == list(range(len(given_episodes)))
        with EpisodeStore.open(Path(folder) / "s") as store:
            for i, (wrote, read) in enumerate(zip(given_episodes, store.episodes(), strict=True)):
                for name, array in ep.arrays(wrote).items():
                    found = ep.arrays(read)[name]
                    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())
                assert list(read.images) == list(wrote.images)
                assert read.meta == store.meta(i) == wrote.meta
                assert store.length(i) == len(wrote)


def test_zarr_python_reads_the_same_arrays(tmp_path):
    episode = an_episode(50, meta={"mode": "demo"})
    with EpisodeStore.create(tmp_path / "s") as store:
        store.append(episode)
    group = zarr.open_group(tmp_path / "s" / "episodes", mode="r")
    assert group["000000"].attrs["meta"] == {"mode": "demo"}
    for name, array in ep.arrays(episode).items():
        found = group[f"000000/{name}"][...]
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
    assert group["000000/images/wrist"].chunks == (32, 8, 8, 3)


def test_an_array_that_zarr_python_wrote_with_other_codecs_reads_back(tmp_path):
    episode = an_episode(5)
    with EpisodeStore.create(tmp_path / "s") as store:
        store.append(episode)
    group = zarr.open_group(tmp_path / "s" / "episodes" / "000000", mode="a")
    group.create_array("action", data=episode.action, chunks=(2, 1), overwrite=True)
    assert ep.digest(EpisodeStore.open(tmp_path / "s").read(0)) == ep.digest(episode)


@pytest.mark.parametrize("cut", range(20))
def test_an_episode_cut_short_after_any_file_is_skipped_then_removed(tmp_path, monkeypatch, cut):
    class Killed(BaseException):
        pass

    written = []
    real = Path.write_bytes

    def dying(self, data):
        if len(written) == cut:
            raise Killed
        written.append(self)
        return real(self, data)

    store = EpisodeStore.create(tmp_path / "s")
    store.append(an_episode())
    monkeypatch.setattr(Path, "write_bytes", dying)
    monkeypatch.setattr("o2o_robot.data.store.shutil.rmtree", lambda *a, **k: None)  # a dead process tidies nothing
    try:
        store.append(an_episode(40, seed=1))
    except Killed:
        assert len(EpisodeStore.open(tmp_path / "s")) == 1
    monkeypatch.undo()
    n = len(EpisodeStore.open(tmp_path / "s"))
    store.close()
    with EpisodeStore.open(tmp_path / "s", "a") as again:
        assert again.repaired == (("writing-000001",) if n == 1 else ())
        assert again.append(an_episode(seed=2)) == n
        assert ep.digest(again.read(n)) == ep.digest(an_episode(seed=2))


def test_an_episode_whose_marker_a_power_cut_emptied_is_skipped_then_removed(tmp_path):
    with EpisodeStore.create(tmp_path / "s") as store:
        for seed in range(3):
            store.append(an_episode(seed=seed))
    (tmp_path / "s/episodes/000001/zarr.json").write_text("")
    reader = EpisodeStore.open(tmp_path / "s")
    assert [e.meta["id"] for e in reader.episodes()] == ["ep-0", "ep-2"]
    assert reader.unreadable == ("000001",)
    with EpisodeStore.open(tmp_path / "s", "a") as store:
        assert store.repaired == ("000001",)
        assert (tmp_path / "s/damaged-000001/action/c.0.0").exists()  # what was committed is put aside, never destroyed
        assert store.append(an_episode(seed=3)) == 2
        assert [e.meta["id"] for e in store.episodes()] == ["ep-0", "ep-2", "ep-3"]


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:-1], lambda b: bytes([b[0] ^ 1]) + b[1:]])
@pytest.mark.parametrize("file", ["reward/c.0", "images/wrist/c.0.0.0.0", "stamp_ns/zarr.json"])
def test_damaged_files_are_an_error_and_never_a_wrong_number(tmp_path, file, damage):
    with EpisodeStore.create(tmp_path / "s") as store:
        store.append(an_episode())
    target = tmp_path / "s/episodes/000000" / file
    target.write_bytes(damage(target.read_bytes()))
    with pytest.raises(DataError, match="000000"):
        EpisodeStore.open(tmp_path / "s").read(0)


def test_what_is_not_a_store_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(StoreError, match="does not exist"):
        EpisodeStore.open(tmp_path / "none")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("")
    with pytest.raises(StoreError, match="is not an episode store"):
        EpisodeStore.open(tmp_path / "folder")
    with pytest.raises(StoreError, match="exists"):
        EpisodeStore.create(tmp_path / "folder")
    zarr.create_group(tmp_path / "other")
    with pytest.raises(StoreError, match="another kind"):
        EpisodeStore.open(tmp_path / "other")


def test_an_invalid_episode_a_read_only_store_and_a_wrong_index_are_refused(tmp_path):
    with EpisodeStore.create(tmp_path / "s") as store:
        with pytest.raises(DataError, match="reward"):
            store.append(replace(an_episode(), reward=np.zeros(9, np.float32)))
        assert len(store) == 0
        with pytest.raises(StoreError, match="holds 0"):
            store.read(0)
    with pytest.raises(StoreError, match="mode 'a'"):
        store.append(an_episode())
    with pytest.raises(StoreError, match="mode 'a'"):
        EpisodeStore.open(tmp_path / "s").append(an_episode())


def test_the_fingerprint_follows_the_data_and_its_order_only(tmp_path):
    def fingerprint(name, seeds, **kind):
        with EpisodeStore.create(tmp_path / name, **kind) as store:
            for seed in seeds:
                store.append(an_episode(seed=seed, meta={"made_by": name}))
            assert EpisodeStore.open(tmp_path / name).fingerprint() == store.fingerprint()
            assert store.n_steps == 5 * len(seeds)
            return store.fingerprint()

    assert fingerprint("a", [0, 1]) == fingerprint("b", [0, 1], durable=True)
    assert len({fingerprint("c", [1, 0]), fingerprint("d", [0]), fingerprint("e", []), fingerprint("f", [0, 1])}) == 4
