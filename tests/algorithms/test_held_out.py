"""Nothing is learned of an evaluation: its scenes stay unseen, and it earns no update."""

from __future__ import annotations

import numpy as np
from learners import SPEC, TRANSFORM, batch, learner, small, stream

from o2o_robot.algorithms.switch_plan import SwitchPlan
from o2o_robot.data.replay import ReplayBuffer
from o2o_robot.learner import Learner
from o2o_robot.presets import wsrl
from o2o_robot.types import Mode, Step


def fed(*episodes: tuple[list[Step], str]) -> Learner:
    """A learner after these episodes, each with its mode, its updates done as they were owed."""
    pretrained = learner()
    pretrained.update(batch())
    replay = ReplayBuffer(500, SPEC, 3, TRANSFORM)
    subject = Learner(pretrained, replay, config=small(wsrl()), plan=SwitchPlan(warmup_steps=18), seed=0)
    for steps, mode in episodes:
        for step in steps:
            subject.add_step(step, mode=mode)
            while subject.updates_owed():
                subject.update()
                assert not actions(subject) & held_out(steps if mode == "eval" else [])
    return subject


def actions(subject: Learner) -> set[bytes]:
    drawn = subject.replay.sample(2000, np.random.default_rng(0)).action
    return {row.tobytes() for row in drawn}


def held_out(steps: list[Step]) -> set[bytes]:
    return {step.executed.values.tobytes() for step in steps if step.executed is not None}


def test_an_evaluation_is_in_no_batch_and_earns_no_update_and_what_comes_after_it_does() -> None:
    before, between, after = stream(2, 9), stream(2, 9, first=5), stream(1, 9, first=9)
    subject = fed((before, "online"), (between, Mode.EVAL.value), (after, "online"))
    assert actions(subject) == held_out([*before, *after])
    assert (subject.n_steps, subject.n_left_out, len(subject.replay)) == (45, 18, 27)
    assert subject.n_updates == 9
