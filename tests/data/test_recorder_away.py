"""A recorder that was away hears of ends from what the session wrote down, and stores nothing twice."""

from __future__ import annotations

import pytest
from episode_examples import an_episode, steps_of

from o2o_robot.data.store import EpisodeStore
from o2o_robot.recorder import Recorder

LINE = {"id": "a", "n_steps": 5, "mode": "online", "seed": 3, "task": "peg", "outcome": "failure"}


@pytest.fixture
def store(tmp_path):
    with EpisodeStore.create(tmp_path / "s") as store:
        yield store


def heard(store: EpisodeStore, n: int | None = None, **settings: object) -> Recorder:
    recorder = Recorder(store, **settings)
    for step in steps_of(an_episode(5), "a")[:n]:
        recorder.add(step)
    return recorder


def test_a_whole_episode_whose_end_was_not_heard_is_stored_as_it_was_written_down(store):
    recorder = heard(store)
    assert recorder.waits_for_an_end
    recorder.settle([{"id": "b"}, {**LINE, "termination": "time_limit"}])
    assert not recorder.waits_for_an_end
    facts = {name: fact for name, fact in LINE.items() if name != "n_steps"}
    assert store.meta(0) == {**facts, "termination": "time_limit"}


def test_an_episode_that_was_cut_short_is_given_up(store):
    recorder = heard(store, 3)
    recorder.settle([{**LINE, "termination": "fault"}])
    assert recorder.running == ()
    assert recorder.discarded == {"a": "cut short after 3 steps"}


def test_an_episode_whose_last_steps_are_on_their_way_is_waited_for(store):
    recorder = heard(store, 3)
    recorder.settle([{**LINE, "termination": "time_limit"}])
    assert recorder.running == ("a",)
    assert not recorder.waits_for_an_end, "it runs, as far as anybody here knows"


def test_an_episode_that_lies_in_the_store_already_is_passed_over(store):
    recorder = heard(store, stored=["a"])
    recorder.end("a", n_steps=5, outcome="success")
    assert (len(store), recorder.running) == (0, ())
