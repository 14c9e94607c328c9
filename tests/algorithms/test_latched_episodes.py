"""What the guard ended is not learned from, unless told; what is counted stays true either way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from learners import SPEC, TRANSFORM, batch, learner, small, stream

from o2o_robot.algorithms.switch_plan import SwitchPlan
from o2o_robot.data.replay import ReplayBuffer
from o2o_robot.learner import Learner
from o2o_robot.presets import wsrl
from o2o_robot.safety.reason import Reason
from o2o_robot.types import Step


def online(*, learns: bool = False, capacity: int = 500, **plan: float) -> Learner:
    pretrained = learner()
    pretrained.update(batch())
    replay = ReplayBuffer(capacity, SPEC, 3, TRANSFORM)
    plan = {"warmup_steps": 18, **plan}
    subject = Learner(pretrained, replay, config=small(wsrl()), plan=SwitchPlan(**plan), seed=0)
    subject.learns_from_latched = learns
    return subject


def stopped(steps: list[Step], reason: Reason = Reason.LATCHED) -> list[Step]:
    """The same episode, its last transition changed by a guard that follows no command any more."""
    last = steps[-2]
    assert last.executed is not None
    return [*steps[:-2], replace(last, executed=replace(last.executed, reasons=int(reason))), steps[-1]]


def feed(subject: Learner, steps: list[Step]) -> None:
    for step in steps:
        subject.add_step(step, mode="online")
        while subject.updates_owed():
            subject.update()


def actions(subject: Learner) -> set[bytes]:
    drawn = subject.replay.sample(2000, np.random.default_rng(0)).action
    return {row.tobytes() for row in drawn}


def test_an_episode_that_the_guard_ended_is_in_no_batch_any_more_and_every_other_one_is() -> None:
    subject = online()
    whole, bad, later = stream(2, 9), stopped(stream(1, 9, first=5)), stream(1, 9, first=7)
    feed(subject, [*whole, *bad, *later])
    learned = {s.executed.values.tobytes() for s in [*whole, *later] if s.executed is not None}
    assert actions(subject) == learned
    assert (subject.n_steps, subject.n_left_out, len(subject.replay)) == (36, 9, 27)


def test_told_to_it_is_learned_from_like_any_other() -> None:
    subject = online(learns=True)
    feed(subject, [*stream(2, 9), *stopped(stream(1, 9, first=5))])
    assert (len(subject.replay), subject.n_left_out, subject.n_updates) == (27, 0, 9)


def test_a_change_by_the_guard_that_does_not_end_the_episode_leaves_it_in() -> None:
    subject = online()
    steps = stream(3, 9)
    assert steps[22].executed is not None
    steps[22] = replace(steps[22], executed=replace(steps[22].executed, reasons=int(Reason.LATCHED)))
    feed(subject, steps)
    assert subject.n_left_out == 0


def test_a_success_on_the_step_of_a_stop_is_learned_from() -> None:
    subject = online()
    steps = stopped(stream(1, 9))
    steps[-2] = replace(steps[-2], terminated=True, truncated=False)
    feed(subject, steps)
    assert (subject.n_left_out, len(subject.replay)) == (0, 9)


def test_updates_keep_their_ratio_to_the_steps_that_are_learned_from() -> None:
    """Eight updates were made while the bad episode ran: the next eight steps earn none, those after them do."""
    subject = online()
    feed(subject, [*stream(2, 9), *stopped(stream(1, 9, first=5))])
    assert subject.n_updates == 8
    feed(subject, stream(1, 9, first=6))
    assert subject.n_updates == 9
    feed(subject, stream(1, 9, first=7))
    assert subject.n_updates == 18 == subject.n_steps - 18 - subject.n_left_out


def test_a_warm_up_of_nothing_but_stops_leaves_nothing_to_learn_from_and_no_update_owed() -> None:
    subject = online()
    feed(subject, [*stopped(stream(1, 9)), *stopped(stream(1, 9, first=1))])
    assert (subject.n_steps, len(subject.replay), subject.updates_owed()) == (18, 0, 0)
    feed(subject, stream(1, 9, first=2))
    assert subject.n_updates == 9


def test_no_gap_is_measured_on_an_episode_that_the_guard_ended() -> None:
    subject = online(warmup_steps=1000, warmup_precision=0.01)
    feed(subject, [*stream(1, 9), *stopped(stream(1, 9, first=5)), *stream(1, 9, first=6)])
    assert len(subject._gaps.gaps) == 2


@pytest.mark.parametrize("cut", [22, 28, 29, 30, 35])
def test_a_learner_resumed_anywhere_in_it_goes_on_as_if_it_had_never_stopped(tmp_path: Path, cut: int) -> None:
    steps = [*stream(2, 9), *stopped(stream(1, 9, first=5)), *stream(3, 9, first=7)]
    whole, first = online(), online()
    feed(whole, steps)
    feed(first, steps[:cut])
    first.save(tmp_path / "c", provenance={}, counters={"next_number": cut})
    again = Learner.resume(tmp_path / "c", config=small(wsrl()), plan=SwitchPlan(warmup_steps=18))
    feed(again, steps[cut:])
    assert (again.n_updates, again.n_left_out, again.n_steps) == (whole.n_updates, whole.n_left_out, whole.n_steps)
    for name, tensor in whole.actor_critic.networks.state_dict().items():
        assert torch.equal(tensor, again.actor_critic.networks.state_dict()[name]), name


def test_one_longer_than_the_replay_takes_nothing_else_with_it_than_what_is_there() -> None:
    subject = online(capacity=8)
    feed(subject, stopped(stream(1, 20)))
    assert (len(subject.replay), subject.n_steps, subject.n_left_out) == (0, 20, 20)
