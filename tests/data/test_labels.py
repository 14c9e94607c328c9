"""Corrections: what they make of an episode, and a log that no writer's death spoils."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from episode_examples import an_episode
from hypothesis import given, settings
from hypothesis import strategies as st

from o2o_robot.data import labels
from o2o_robot.data.archive import line_log
from o2o_robot.data.episode import arrays, validate
from o2o_robot.data.labels import Correction, append, apply, corrected_meta, history, read_log
from o2o_robot.data.replay import ReplayBuffer
from o2o_robot.data.returns import RewardTransform
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import ConfigError, DataError, StoreError
from o2o_robot.types import ObservationSpec

SUCCESS, FAILURE, UNKNOWN = (Correction(word, who="kim") for word in ("success", "failure", "unknown"))
RECORDED = Correction.recorded(by="hand", who="kim", at="")


def recorded(outcome: str, *, n_steps: int = 4, seed: int = 0, **changes):
    """An episode as it is recorded with that outcome: a success ends by the task with reward 1."""
    end, why = ("terminated", "task") if outcome == "success" else ("truncated", "operator")
    meta = {"id": f"ep-{seed}", "outcome": outcome, "termination": why}
    return replace(an_episode(n_steps, seed=seed, end=end, meta=meta), **changes)


def ends(episode) -> tuple[list[float], list[bool], list[bool], str, str]:
    named = (episode.reward, episode.terminated, episode.truncated)
    return *(array.tolist() for array in named), episode.meta["outcome"], episode.meta["termination"]


def same(a, b) -> bool:
    return all(np.array_equal(array, arrays(b)[name]) for name, array in arrays(a).items())


@pytest.mark.parametrize("before", ["success", "failure", "incomplete"])
@pytest.mark.parametrize(("word", "after"), [("success", "success"), ("failure", "failure"), ("unknown", "incomplete")])
def test_an_episode_labelled_after_the_fact_is_the_one_recorded_with_that_outcome(before, word, after):
    labelled = apply(recorded(before), Correction(word))
    assert ends(labelled) == ends(recorded(after))
    assert same(replace(labelled, reward=recorded(after).reward), recorded(after))
    validate(labelled)


def test_a_recorded_failure_that_the_task_ended_stays_ended_as_a_failure_and_bootstraps_once_unknown():
    dropped = recorded("success", reward=np.zeros(4, np.float32))
    dropped = replace(dropped, meta={**dropped.meta, "outcome": "failure"})
    assert ends(apply(dropped, FAILURE)) == ends(dropped)
    assert apply(dropped, UNKNOWN).truncated[-1]


@pytest.mark.parametrize(
    ("reward", "without"),
    [
        ([0, 0, 0, 1], [0, 0, 0, 0]),
        ([0, 0, 1, 1], [0, 0, 0, 0]),
        ([-1, -1, -1, 0], [-1, -1, -1, -1]),
        ([0.1, 0.2, 0.3, 5], [0.1, 0.2, 0.3, 0.3]),
        ([1, 1, 1, 1], [0, 0, 0, 0]),
        ([-0.1, -0.2, -0.3, -0.4], [-0.1, -0.2, -0.3, -0.4]),
    ],
)
def test_a_success_taken_back_loses_the_reward_of_success_and_no_other(reward, without):
    episode = recorded("success", reward=np.array(reward, np.float32))
    assert apply(episode, FAILURE).reward.tolist() == np.array(without, np.float32).tolist()


def test_a_recorded_success_keeps_the_reward_it_has():
    dense = recorded("success", reward=np.array([0.1, 0.2, 0.3, 5], np.float32))
    assert same(apply(dense, SUCCESS), dense)


def test_a_success_without_any_reward_for_it_gets_one():
    silent = recorded("incomplete")
    silent = replace(silent, meta={**silent.meta, "outcome": "success"})
    assert apply(silent, SUCCESS).reward.tolist() == [0, 0, 0, 1]


def test_given_rewards_stand_in_place_of_the_recorded_and_of_the_success():
    given_ = Correction("success", reward=np.array([0.5, 0.25, 0.0, 0.125]))
    assert apply(recorded("failure"), given_).reward.tolist() == [0.5, 0.25, 0.0, 0.125]
    assert ends(apply(recorded("failure"), Correction(reward=(1, 2, 3, 4))))[1:] == ends(recorded("failure"))[1:]
    with pytest.raises(DataError, match="3 rewards for the 4 steps of 'ep-0'"):
        apply(recorded("failure"), Correction(reward=(1, 2, 3)))


def test_the_recorded_correction_changes_nothing():
    episode = recorded("success")
    assert apply(episode, RECORDED) is episode
    assert corrected_meta(episode.meta, RECORDED) == episode.meta


WORDS = st.sampled_from(["success", "failure", "unknown"])
CORRECTIONS = st.builds(
    Correction,
    outcome=st.none() | WORDS,
    reward=st.none() | st.tuples(*[st.floats(-9, 9, width=32)] * 4),
    by=st.sampled_from(["file", "classifier", "hand"]),
    who=st.text(max_size=9),
    note=st.text(max_size=9),
    probability=st.none() | st.floats(0, 1),
)


@given(CORRECTIONS, st.sampled_from(["success", "failure", "incomplete"]))
@settings(max_examples=60, deadline=None)
def test_applying_twice_is_applying_once_and_the_episode_stays_valid(correction, outcome):
    once = apply(recorded(outcome), correction)
    validate(once)
    twice = apply(once, correction)
    assert same(once, twice)
    assert once.meta == twice.meta
    assert corrected_meta(recorded(outcome).meta, correction) == once.meta


@given(WORDS, WORDS, st.sampled_from(["success", "failure", "incomplete"]))
@settings(max_examples=27, deadline=None)
def test_of_two_labels_the_last_one_counts(first, second, outcome):
    episode = recorded(outcome)
    both = apply(apply(episode, Correction(first)), Correction(second))
    assert ends(both) == ends(apply(episode, Correction(second)))


@given(st.lists(st.tuples(st.sampled_from(["000000", "000007", "1234567"]), CORRECTIONS), max_size=6))
@settings(max_examples=40, deadline=None)
def test_what_is_logged_is_read_back_in_order_and_the_last_counts(tmp_path_factory, lines):
    store = tmp_path_factory.mktemp("log")
    for number, correction in lines:
        append(store, number, correction)
    assert [tuple(line) for line in history(store)] == lines
    assert read_log(store) == dict(lines)


def test_a_last_line_cut_short_at_any_byte_is_passed_over_and_removed_by_the_next_append(tmp_path):
    append(tmp_path, "000000", SUCCESS)
    whole = (tmp_path / labels.LOG_NAME).read_bytes()
    append(tmp_path, "000001", FAILURE)
    both = (tmp_path / labels.LOG_NAME).read_bytes()
    for size in range(len(whole), len(both)):
        (tmp_path / labels.LOG_NAME).write_bytes(both[:size])
        assert read_log(tmp_path) == {"000000": SUCCESS}
        append(tmp_path, "000002", UNKNOWN)
        assert read_log(tmp_path) == {"000000": SUCCESS, "000002": UNKNOWN}


def test_a_torn_line_longer_than_a_block_is_removed_whole(tmp_path):
    append(tmp_path, "000000", SUCCESS)
    with (tmp_path / labels.LOG_NAME).open("ab") as log:
        log.write(b"x" * 20_000)
    append(tmp_path, "000001", FAILURE)
    assert [line.number for line in history(tmp_path)] == ["000000", "000001"]
    assert b"xx" not in (tmp_path / labels.LOG_NAME).read_bytes()


HOSTILE = {
    "a flipped word": lambda line: line.replace(b"success", b"failure"),
    "no JSON": lambda line: b"{}]\n",
    "no object": lambda line: b"[1, 2]\n",
    "no checksum": lambda line: b'{"number": "000000", "outcome": "success"}\n',
    "deep nesting": lambda line: b"[" * 100_000 + b"\n",
    "another folder": lambda line: resealed(line, number="../../etc"),
    "an unknown setting": lambda line: resealed(line, colour="red"),
    "an unknown outcome": lambda line: resealed(line, outcome="perfect"),
    "a reward that is no number": lambda line: resealed(line, reward=["many"]),
    "a reward that is not finite": lambda line: resealed(line, reward=[float("nan")]),
    "bytes that are no text": lambda line: b"\xff\xfe\n",
}


def resealed(line: bytes, **changes) -> bytes:
    """The line with changes, and the checksum that goes with them."""
    content = {**json.loads(line), **changes}
    del content["sha256"]
    return json.dumps({**content, "sha256": line_log._sha256(content)}).encode() + b"\n"


@pytest.mark.parametrize("what", HOSTILE)
def test_a_line_that_was_not_written_here_is_refused_by_name(tmp_path, what):
    append(tmp_path, "000000", SUCCESS)
    log = tmp_path / labels.LOG_NAME
    log.write_bytes(log.read_bytes() + HOSTILE[what](log.read_bytes()))
    with pytest.raises(DataError, match=r"labels\.jsonl, line 2.*remove that line"):
        read_log(tmp_path)


def test_a_resealed_line_without_changes_is_read(tmp_path):
    append(tmp_path, "000000", SUCCESS)
    log = tmp_path / labels.LOG_NAME
    log.write_bytes(resealed(log.read_bytes()))
    assert read_log(tmp_path) == {"000000": SUCCESS}


def test_a_log_or_a_line_of_hostile_size_is_refused_before_it_is_read(tmp_path, monkeypatch):
    append(tmp_path, "000000", SUCCESS)
    monkeypatch.setattr(labels, "MAX_LINE_BYTES", 50)
    with pytest.raises(DataError, match="line 1"):
        read_log(tmp_path)
    with pytest.raises(DataError, match="more than the 50"):
        append(tmp_path, "000000", SUCCESS)
    monkeypatch.setattr(line_log, "MAX_LOG_BYTES", 50)
    with pytest.raises(DataError, match="at most 50 are read"):
        read_log(tmp_path)


@pytest.mark.parametrize("number", ["12", "../000001", "00001a", ""])
def test_a_number_that_is_no_folder_is_refused(tmp_path, number):
    with pytest.raises(DataError, match="no episode's number"):
        append(tmp_path, number, SUCCESS)
    assert not (tmp_path / labels.LOG_NAME).exists()


def test_a_disk_that_fills_up_leaves_the_log_as_it_was(tmp_path, monkeypatch):
    append(tmp_path, "000000", SUCCESS)
    before = (tmp_path / labels.LOG_NAME).read_bytes()
    real = line_log.os.pwrite

    def full(descriptor, data, offset):
        real(descriptor, data[:10], offset)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(line_log.os, "pwrite", full)
    with pytest.raises(StoreError, match="No space left on device; free some space"):
        append(tmp_path, "000001", FAILURE)
    assert (tmp_path / labels.LOG_NAME).read_bytes() == before


def test_a_write_that_the_disk_takes_in_parts_is_whole(tmp_path, monkeypatch):
    real = line_log.os.pwrite
    monkeypatch.setattr(line_log.os, "pwrite", lambda descriptor, data, offset: real(descriptor, data[:7], offset))
    append(tmp_path, "000000", SUCCESS)
    assert read_log(tmp_path) == {"000000": SUCCESS}


@pytest.mark.parametrize(
    "wrong",
    [{"outcome": "perfect"}, {"reward": ()}, {"reward": (float("nan"),)}, {"reward": (1e39,)}, {"probability": 2}],
)
def test_an_impossible_correction_is_refused_when_it_is_made(wrong):
    with pytest.raises(ConfigError):
        Correction(**wrong)


SPEC = ObservationSpec(cameras=("wrist", "front"), image_size=8, proprio=(("q_rad", 7),))
TRANSFORM = RewardTransform(bias=-1.0, discount=0.9)


def returns(store: EpisodeStore, cache=None) -> np.ndarray:
    replay = ReplayBuffer.from_store(store, SPEC, transform=TRANSFORM, cache=cache)
    return replay._ring["mc_return"][replay._valid]


@pytest.mark.parametrize("is_cached", [False, True])
def test_the_returns_of_a_corrected_store_are_those_of_a_store_recorded_that_way(tmp_path, is_cached):
    cache = tmp_path / "cache" if is_cached else None
    with EpisodeStore.create(tmp_path / "a") as store, EpisodeStore.create(tmp_path / "b") as other:
        for seed in (0, 1):
            store.append(recorded("success", seed=seed))
        other.append(recorded("success", seed=0))
        other.append(recorded("failure", seed=1))
        wrong = returns(store, cache)
        store.correct(1, FAILURE)
        assert np.array_equal(returns(store, cache), returns(other))
        store.correct(1, RECORDED)
        assert np.array_equal(returns(store, cache), wrong)
        assert not np.array_equal(returns(other), wrong)
