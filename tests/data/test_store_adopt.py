"""Adopting episodes of another store: all of them, in order, or as many as were taken before something stopped it."""

import errno
from pathlib import Path

import pytest
from episode_examples import an_episode

from o2o_robot.data import episode as ep
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError, StoreError


def a_store(path: Path, seeds: range) -> EpisodeStore:
    store = EpisodeStore.create(path)
    for seed in seeds:
        store.append(an_episode(seed=seed))
    return store


def ids(store: EpisodeStore) -> list[str]:
    return [store.meta(i)["id"] for i in range(len(store))]


@pytest.mark.parametrize("move", [False, True])
def test_adopted_episodes_follow_ours_in_their_own_order_bit_for_bit(tmp_path, move):
    with a_store(tmp_path / "a", range(2)) as ours, a_store(tmp_path / "b", range(2, 5)) as theirs:
        assert ours.adopt(theirs, move=move) == [2, 3, 4]
        assert ids(ours) == [f"ep-{i}" for i in range(5)]
        assert [ep.digest(e) for e in ours.episodes()] == [ep.digest(an_episode(seed=i)) for i in range(5)]
        assert ids(theirs) == ([] if move else ["ep-2", "ep-3", "ep-4"])
        assert ids(EpisodeStore.open(tmp_path / "b")) == ids(theirs)
    assert ids(EpisodeStore.open(tmp_path / "a")) == [f"ep-{i}" for i in range(5)]


def test_a_move_to_another_file_system_copies_and_leaves_nothing_behind(tmp_path, monkeypatch):
    real = Path.rename

    def across(self: Path, target: Path) -> Path:
        if self.parent.name == target.parent.name == "episodes":
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return real(self, target)

    with a_store(tmp_path / "a", range(1)) as ours, a_store(tmp_path / "b", range(1, 3)) as theirs:
        monkeypatch.setattr(Path, "rename", across)
        assert ours.adopt(theirs, move=True) == [1, 2]
        assert [ep.digest(e) for e in ours.episodes()] == [ep.digest(an_episode(seed=i)) for i in range(3)]
        assert not list((tmp_path / "b/episodes").glob("0*"))


@pytest.mark.parametrize("move", [False, True])
def test_a_damaged_episode_stops_the_adoption_and_a_second_call_takes_the_rest(tmp_path, move):
    with a_store(tmp_path / "a", range(1)) as ours, a_store(tmp_path / "b", range(1, 4)) as theirs:
        file = tmp_path / "b/episodes/000001/reward/c.0"
        sound = file.read_bytes()
        file.write_bytes(b"\xff" * len(sound))
        with pytest.raises(DataError, match="000001"):
            ours.adopt(theirs, move=move)
        assert ids(ours) == ["ep-0", "ep-1"]
        if move:
            file.write_bytes(sound)
            assert ours.adopt(theirs, move=True) == [2, 3]


def test_a_move_out_of_a_store_that_is_only_read_is_refused_before_anything_moves(tmp_path):
    with a_store(tmp_path / "a", range(1)) as ours:
        a_store(tmp_path / "b", range(1, 3)).close()
        theirs = EpisodeStore.open(tmp_path / "b")
        with pytest.raises(StoreError, match="mode 'a'"):
            ours.adopt(theirs, move=True)
        with pytest.raises(StoreError, match="its own"):
            ours.adopt(EpisodeStore.open(tmp_path / "a"))
        assert (len(ours), len(theirs)) == (1, 2)
    with pytest.raises(StoreError, match="mode 'a'"):
        ours.adopt(theirs)
