"""Which weights act: taken, kept on disk, given up for better ones, and the same again after a restart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from learners import observation
from offers import PRETRAINED, offer, policy, probes

from o2o_robot.acting import ActingWeights
from o2o_robot.errors import CheckpointError
from o2o_robot.never_worse import NeverWorse, Rate, Rule, Standing
from o2o_robot.policy import Policy
from o2o_robot.stretches import Stretches
from o2o_robot.types import Mode, Outcome
from o2o_robot.weights_door import WeightsDoor
from o2o_robot.weights_kept import Kept, KeptWeights

OUTCOMES = {"s": Outcome.SUCCESS, "f": Outcome.FAILURE, "i": Outcome.INCOMPLETE}


class Bench:
    """A policy over the folder of its run; its log is a list, as it would be read again."""

    def __init__(self, folder: Path | None, log: list | None = None) -> None:
        self.policy: Policy = policy()
        door = WeightsDoor(self.policy, max_action_jump=0.8)
        door.watch(probes())
        self.log = [] if log is None else log
        watch = NeverWorse(Rule(windows=(10,)))
        self.acting = ActingWeights(self.policy, door, KeptWeights(folder), watch, log=self._write)

    def _write(self, event) -> None:
        self.log.append(json.loads(json.dumps(event, allow_nan=False)))

    def run(self, mode: Mode, outcomes: str) -> Standing:
        for outcome in outcomes:
            self.acting.episode_began()
            found = self.acting.episode_ended(mode, OUTCOMES[outcome])
        return found.standing

    def fail(self) -> int:
        """Failures online until the policy goes back; how many it took."""
        return next(n for n in range(1, 21) if self.run(Mode.ONLINE, "f") is Standing.WORSE)


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path)


def spoiled(bench: Bench) -> Bench:
    """Ten good warm-up episodes, ten good ones with revision 8, then revision 9, and nothing succeeds any more."""
    bench.run(Mode.WARMUP, "ssssssssff")
    bench.acting.offer(offer(8, 1, bias=0.2))
    bench.run(Mode.ONLINE, "s" * 10)
    bench.acting.offer(offer(9, 2, bias=0.4))
    return bench


def test_a_refusal_is_counted_and_the_old_weights_go_on_acting(bench):
    bench.acting.offer(offer(8, bias=0.1))
    before = bench.policy.act(observation())
    with pytest.raises(CheckpointError):
        bench.acting.offer(offer(9, bias=9.0))
    assert (bench.acting.accepted, bench.acting.refused) == (1, 1)
    assert "jump" in bench.acting.last_refusal
    assert bench.policy.revision == 8
    assert np.array_equal(bench.policy.act(observation()), before)


def test_a_publication_said_again_is_no_refusal(bench):
    assert bench.acting.offer(offer(8))
    assert not bench.acting.offer(offer(8))
    assert (bench.acting.accepted, bench.acting.refused) == (1, 0)


def test_the_last_three_are_on_disk_with_those_that_are_needed(bench, tmp_path):
    for revision in range(8, 20):
        bench.acting.offer(offer(revision))
    assert KeptWeights(tmp_path).revisions == [17, 18, 19]
    assert KeptWeights(tmp_path).read(18).data == offer(18).data
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_the_best_weights_act_again_once_the_latest_episodes_are_surely_worse(bench):
    spoiled(bench)
    assert bench.acting.best_revision == 8
    failed = bench.fail()
    assert bench.policy.revision == 8
    assert np.array_equal(bench.policy.act(observation()), as_offered(0.2).act(observation()))
    assert bench.acting.rollbacks == 1
    assert bench.acting.comparison.now == Rate(10 - failed, 10)


def as_offered(bias: float) -> Policy:
    made = policy()
    made.set_weights(offer(1, bias=bias).data, revision=1)
    return made


def test_after_going_back_only_weights_of_a_learner_that_went_back_too_are_taken(bench):
    spoiled(bench).fail()
    with pytest.raises(CheckpointError, match="has not gone back"):
        bench.acting.offer(offer(10, 3))
    bench.acting.offer(offer(11, 4, rollbacks=1))
    assert bench.policy.revision == 11
    assert bench.run(Mode.ONLINE, "f" * 9) is Standing.UNDECIDED, "counts begin anew"


def test_weights_gone_back_to_that_do_no_better_give_way_to_the_pretrained(bench):
    spoiled(bench).fail()
    assert bench.fail() == 10
    assert bench.policy.revision == PRETRAINED
    assert np.array_equal(bench.policy.act(observation()), policy().act(observation()))


def test_incomplete_episodes_and_evaluations_do_not_count(bench):
    spoiled(bench)
    needed = spoiled(Bench(None)).fail()
    bench.run(Mode.ONLINE, "f" * (needed - 1))
    bench.run(Mode.ONLINE, "i" * 30)
    bench.run(Mode.EVAL, "f" * 30)
    bench.run(Mode.DEMO, "f" * 30)
    assert bench.acting.rollbacks == 0
    assert bench.run(Mode.ONLINE, "f") is Standing.WORSE


def test_weights_whose_file_was_spoiled_are_not_gone_back_to(bench, tmp_path):
    spoiled(bench)
    (tmp_path / "8.safetensors").write_bytes(b"spoiled")
    bench.fail()
    assert bench.policy.revision == PRETRAINED
    assert bench.acting.rollbacks == 1


@pytest.mark.parametrize("failures", [0, 4, 8, 13])
def test_a_run_taken_up_again_is_as_it_was_left(bench, tmp_path, failures):
    bench.acting.began()
    spoiled(bench).run(Mode.ONLINE, "f" * failures + "i")
    again = Bench(tmp_path)
    again.acting.recall([{"event": "accepted", "revision": 99, "learner_step": 9, "sha256": ""}, *bench.log])
    for of in (bench, again):
        of.run(Mode.ONLINE, "sf")
    assert again.policy.revision == bench.policy.revision
    assert again.acting.comparison[:3] == bench.acting.comparison[:3]
    assert again.acting.rollbacks == bench.acting.rollbacks
    assert again.acting.accepted == bench.acting.accepted, "what was there before the run began is not of it"
    assert again.acting.best_revision == bench.acting.best_revision
    assert np.array_equal(again.policy.act(observation()), bench.policy.act(observation()))
    assert not again.acting.offer(offer(9, 2, bias=0.4)), "known already"
    with pytest.raises(CheckpointError, match="not newer"):
        again.acting.offer(offer(9, 2, bias=0.3))


def test_a_run_whose_weights_were_not_kept_takes_the_first_that_come_from_however_far(tmp_path):
    again = Bench(tmp_path)
    again.acting.recall([])
    assert again.acting.offer(offer(3000, bias=3.0))
    with pytest.raises(CheckpointError, match="jump"):
        again.acting.offer(offer(3001, bias=-3.0))


def test_without_a_folder_weights_are_kept_in_memory():
    bench = spoiled(Bench(None))
    bench.fail()
    assert bench.policy.revision == 8


# --- stretches ---------------------------------------------------------------------------------------------------
def test_a_stretch_is_credited_to_the_weights_it_began_with():
    record = Stretches(0, episodes=4)
    for revision, success in zip([1, 2, 3, 4], [True] * 4, strict=True):
        record.add(revision, success)
    assert record.best == 1


def test_few_successes_of_few_do_not_beat_many_of_many():
    record = Stretches(0, episodes=4)
    for success in [True] * 45 + [False] * 5:
        record.add_before(success)
    for _ in range(4):
        record.add(5, True)
    assert record.best == 0, "4 of 4 may be luck, 45 of 50 is not"


def test_what_is_needed_holds_the_best_and_the_beginning_of_the_open_stretch():
    record = Stretches(0, episodes=2)
    for revision in (3, 4, 5):
        record.add(revision, True)
    assert record.needed == {0, 3, 5}


def test_weights_kept_by_another_hand_are_not_taken_for_ones_own(tmp_path):
    kept = KeptWeights(tmp_path)
    kept.add(Kept(3, 1, b"three"), needed=())
    (tmp_path / "notes.json").write_text("{}")
    (tmp_path / "4.json").write_text("{}")
    with pytest.raises(CheckpointError, match="not kept"):
        kept.read(4)
    assert kept.read(3).data == b"three"
    (tmp_path / "3.safetensors").write_bytes(b"thrce")
    with pytest.raises(CheckpointError, match="has changed"):
        kept.read(3)


# --- evaluations, and late words ---------------------------------------------------------------------------------
def test_evaluations_that_are_surely_worse_than_those_of_the_pretrained_weights_bring_the_best_back(bench):
    bench.run(Mode.EVAL, "s" * 10)
    spoiled(bench)
    needed = next(n for n in range(1, 21) if bench.run(Mode.EVAL, "f") is Standing.WORSE)
    assert needed == 10, "a window of ten"
    assert (bench.acting.rollbacks, bench.policy.revision) == (1, 8)


def test_evaluations_count_again_when_a_run_is_taken_up(bench, tmp_path):
    bench.acting.began()
    bench.run(Mode.EVAL, "s" * 10)
    spoiled(bench).run(Mode.EVAL, "f" * 9)
    again = Bench(tmp_path)
    again.acting.recall(bench.log)
    assert again.run(Mode.EVAL, "f") is Standing.WORSE


@pytest.mark.parametrize(("mode", "which"), [(Mode.WARMUP, "before"), (Mode.ONLINE, "now")])
def test_a_late_word_counts_as_though_it_had_been_said_at_once(bench, tmp_path, mode, which):
    bench.acting.began()
    for name, outcome in {"a": "s", "b": "f", "c": "s"}.items():
        bench.acting.episode_began()
        bench.acting.episode_ended(mode, OUTCOMES[outcome], episode=name)
    again = Bench(tmp_path)
    for name, is_success, then in (("b", True, Rate(3, 3)), ("c", False, Rate(2, 3)), ("a", None, Rate(1, 2))):
        bench.acting.relabelled(name, is_success)
        assert getattr(bench.acting.comparison, which) == then
    again.acting.recall(bench.log)
    assert getattr(again.acting.comparison, which) == Rate(1, 2)
