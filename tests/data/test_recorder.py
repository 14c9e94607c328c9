"""The recorder commits whole episodes, and counts what it could not."""

from dataclasses import replace

import numpy as np
import pytest
from episode_examples import an_episode, steps_of
from hypothesis import given, settings
from hypothesis import strategies as st

from o2o_robot.data import episode as ep
from o2o_robot.data.provenance import git_revision, versions
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import StoreError
from o2o_robot.recorder import Recorder


@pytest.fixture
def store(tmp_path):
    with EpisodeStore.create(tmp_path / "s") as store:
        yield store


def test_an_episode_is_on_disk_when_its_last_step_and_its_end_have_come(store):
    episode = an_episode(6, end="terminated")
    recorder = Recorder(store, facts={"task": "peg"})
    recorder.start("a", mode="online", seed=3)
    assert [recorder.add(step) for step in steps_of(episode, "a")] == [None] * 7
    assert recorder.end("a", n_steps=6, outcome="success", termination="task") == 0
    assert ep.digest(store.read(0)) == ep.digest(episode)
    facts = {"task": "peg", "mode": "online", "seed": 3, "outcome": "success", "termination": "task"}
    assert store.meta(0) == {"id": "a", **facts}
    assert (recorder.episodes_stored, recorder.steps_stored, recorder.last_episode) == (1, 6, "a")


@given(start_at=st.integers(0, 4), end_at=st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_start_and_end_may_arrive_anywhere_among_the_steps(tmp_path_factory, start_at, end_at):
    episode = an_episode(3)
    place: list[int | str] = [0, 1, 2, 3]
    place.insert(start_at, "start")
    place.insert(end_at, "end")
    with EpisodeStore.create(tmp_path_factory.mktemp("d") / "s") as store:
        recorder, steps = Recorder(store), steps_of(episode, "a")
        for item in place:
            if item == "start":
                recorder.start("a", mode="demo")
            elif item == "end":
                recorder.end("a", n_steps=3, outcome="failure", termination="time_limit")
            else:
                recorder.add(steps[item])
        recorder.close()
        assert len(store) == 1
        assert ep.digest(store.read(0)) == ep.digest(episode)
        assert store.meta(0)["outcome"] == "failure"


def test_a_lost_step_discards_its_episode_once_and_others_go_on(store):
    recorder = Recorder(store)
    first, second = steps_of(an_episode(5), "a"), steps_of(an_episode(4, seed=1), "b")
    for step in (*first[:2], *second, *first[3:]):
        recorder.add(step)
    recorder.end("a", n_steps=5)
    assert recorder.end("b", n_steps=4) == 0
    recorder.close()
    assert (len(store), recorder.episodes_stored, recorder.episodes_discarded) == (1, 1, 1)
    assert "step 3 came, not 2" in recorder.discarded["a"]


def test_an_episode_that_stops_in_the_middle_is_never_stored(store):
    recorder = Recorder(store)
    for step in steps_of(an_episode(5), "a")[:4]:
        recorder.add(step)
    recorder.end("a", n_steps=3, termination="fault")
    recorder.close()
    assert len(store) == 0
    assert recorder.discarded == {"a": "cut short after 4 steps"}


def test_a_whole_episode_whose_end_was_never_told_is_kept_at_close_with_what_its_rows_say(store):
    told = {"terminated": ("success", "task"), "truncated": ("failure", "time_limit"), "open": ("incomplete", "fault")}
    for end in told:
        recorder = Recorder(store)
        for step in steps_of(an_episode(3, end=end), end):
            recorder.add(step)
        recorder.close()
    found = [(store.meta(i)["outcome"], store.meta(i)["termination"]) for i in range(len(store))]
    assert found == list(told.values())


def test_a_count_that_disagrees_with_the_steps_that_came_discards_the_episode(store):
    recorder = Recorder(store)
    for step in steps_of(an_episode(3), "a"):
        recorder.add(step)
    assert recorder.end("a", n_steps=4) is None
    assert recorder.discarded == {"a": "4 steps were taken, 3 arrived"}


def test_steps_that_do_not_make_a_valid_episode_are_discarded_with_the_reason(store):
    steps = steps_of(an_episode(3), "a")
    steps[1] = replace(steps[1], executed=replace(steps[1].executed, values=np.full(3, np.nan, np.float32)))
    recorder = Recorder(store)
    for step in steps:
        recorder.add(step)
    recorder.end("a")
    assert "action is not finite at row 1" in recorder.discarded["a"]


def test_memory_is_bounded_when_episodes_never_end(store):
    recorder = Recorder(store, max_running=3)
    for name in "abcde":
        recorder.add(steps_of(an_episode(3), name)[0])
    assert list(recorder.discarded) == ["a", "b"]


def test_a_store_that_refuses_is_heard_and_the_episode_can_be_committed_later(store, monkeypatch):
    recorder = Recorder(store)
    for step in steps_of(an_episode(3), "a"):
        recorder.add(step)

    def full(episode):
        raise StoreError("full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "append", full)
        with pytest.raises(StoreError):
            recorder.end("a")
    assert recorder.episodes_stored == 0
    recorder.close()
    assert (len(store), recorder.episodes_stored) == (1, 1)


def test_provenance_never_fails_outside_git(tmp_path):
    assert git_revision(tmp_path) == "unknown"
    assert git_revision(tmp_path / "none") == "unknown"
    assert {"o2o_robot", "python", "numpy", "zarr"} <= set(versions())


def test_whole_episodes_whose_end_nobody_told_are_stored_when_later_ones_crowd_them_out(store):
    recorder = Recorder(store, max_running=2)
    for name in "abcd":
        for step in steps_of(an_episode(3, end="terminated"), name):
            recorder.add(step)
    assert recorder.episodes_discarded == 0
    recorder.close()
    assert [store.meta(i)["id"] for i in range(len(store))] == list("abcd")
