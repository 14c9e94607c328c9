"""Merging: every episode once, in order, and never two kinds of episode in one store."""

from dataclasses import replace

import numpy as np
import pytest
from episode_examples import an_episode

from o2o_robot.data import episode as ep
from o2o_robot.data.archive.merge import check_alike, merge
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError, StoreError

RANGE = {"action_low": [-0.1, -0.1, -0.1], "action_high": [0.1, 0.1, 0.1]}


def a_store(path, episodes):
    with EpisodeStore.create(path) as store:
        for episode in episodes:
            store.append(episode)
    return EpisodeStore.open(path, "a")


def ids(store):
    return [store.meta(i)["id"] for i in range(len(store))]


def some(*seeds):
    return [an_episode(seed=seed) for seed in seeds]


@pytest.fixture
def out(tmp_path):
    with EpisodeStore.create(tmp_path / "out") as store:
        yield store


@pytest.mark.parametrize("move", [False, True])
def test_a_merge_holds_every_episode_once_in_order_and_doing_it_again_changes_nothing(tmp_path, out, move):
    a, b = a_store(tmp_path / "a", some(0, 1)), a_store(tmp_path / "b", some(1, 2, 3))
    told = []
    merged = merge([a, b], out, move=move, tell=told.append)
    assert ids(out) == ["ep-0", "ep-1", "ep-2", "ep-3"]
    assert [ep.digest(e) for e in out.episodes()] == [ep.digest(e) for e in some(0, 1, 2, 3)]
    assert (merged.adopted, [(twin.store, twin.number) for twin in merged.skipped]) == ([0, 1, 2, 3], [(b, "000000")])
    assert told == [1, 2, 3, 4, 5]
    assert (ids(a), ids(b)) == (([], ["ep-1"]) if move else (["ep-0", "ep-1"], ["ep-1", "ep-2", "ep-3"]))
    fingerprint = out.fingerprint()
    assert merge([a, b], out).adopted == []
    assert out.fingerprint() == fingerprint


def test_deleted_episodes_are_not_merged(tmp_path, out):
    a = a_store(tmp_path / "a", some(0, 1, 2))
    a.delete(1, "bad")
    merge([a], out)
    assert ids(out) == ["ep-0", "ep-2"]


def test_equal_arrays_under_another_id_are_another_episode(tmp_path, out):
    renamed = replace(an_episode(), meta={"id": "other"})
    assert len(merge([a_store(tmp_path / "a", [an_episode(), renamed])], out).adopted) == 2


OTHERS = {
    r"'images/front' is 8x8x3 uint8 in .*a episode 000000 and not there in .*b episode 000001": an_episode(
        cameras=("wrist",)
    ),
    r"'images/side' is not there in .* and 8x8x3 uint8 in": an_episode(cameras=("wrist", "front", "side")),
    r"'images/wrist' is 8x8x3 uint8 in .* and 4x4x3 uint8 in": an_episode(side=4),
    r"'action' is 3 float32 in .* and 4 float32 in": an_episode(n_action=4),
    r"'state/tool_position_m' is 3 float32 in .* and not there in": replace(
        an_episode(), state={"q_rad": np.zeros((6, 7), np.float32)}
    ),
    r"action_low is \[-0.1, -0.1, -0.1\] in .* and not there in": an_episode(),
    r"action_high is \[0.1, 0.1, 0.1\] in .* and \[0.1, 0.1, 0.2\] in": an_episode(
        meta={"id": "x", **RANGE, "action_high": [0.1, 0.1, 0.2]}
    ),
}


@pytest.mark.parametrize("difference", OTHERS)
def test_episodes_of_another_kind_are_refused_by_the_difference_before_anything_is_taken(tmp_path, out, difference):
    other = OTHERS[difference]
    if not difference.startswith("action"):
        other = replace(other, meta={"id": "x", **RANGE})
    ours = [replace(e, meta={**e.meta, **RANGE}) for e in some(0, 1)]
    a, b = a_store(tmp_path / "a", ours), a_store(tmp_path / "b", [replace(ours[0], meta={"id": "b", **RANGE}), other])
    with pytest.raises(StoreError, match=difference):
        merge([a, b], out)
    assert len(out) == 0


def test_what_is_in_the_target_already_counts_as_one_of_the_kinds(tmp_path, out):
    out.append(an_episode(side=4))
    a = a_store(tmp_path / "a", some(1))
    with pytest.raises(StoreError, match="4x4x3"):
        merge([a], out)
    check_alike([a])


def test_a_merge_stopped_by_a_damaged_episode_goes_on_where_it_was_once_that_is_deleted(tmp_path, out):
    a = a_store(tmp_path / "a", some(0, 1, 2))
    (tmp_path / "a/episodes/000001/reward/c.0").write_bytes(bytes(24))
    with pytest.raises(DataError, match="000001"):
        merge([a], out)
    assert ids(out) == ["ep-0"]
    a.delete(1, "damaged")
    assert merge([a], out).adopted == [1]
    assert ids(out) == ["ep-0", "ep-2"]
