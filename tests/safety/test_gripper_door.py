"""The gripper goes through the same door as the arm: what is refused moves nothing, what is let through is stored."""

from __future__ import annotations

import numpy as np
import pytest
from guard_examples import RecordingArm, action, roomy

from o2o_robot.errors import ArmError
from o2o_robot.robot.action import DeltaPositionGripper
from o2o_robot.safety.guard_config import build_guard
from o2o_robot.safety.guarded_arm import GuardedArm
from o2o_robot.safety.reason import Reason

SPACE = DeltaPositionGripper(open_m=0.05)


class Hand(RecordingArm):
    """Remembers, in order, what the fingers and the arm were told."""

    def __init__(self) -> None:
        super().__init__()
        self.openings_m: list[float] = []
        self.order: list[str] = []

    def command(self, target):
        self.order.append("arm")
        return super().command(target)

    def grip(self, opening_m: float) -> None:
        assert np.isfinite(opening_m)
        self.openings_m.append(opening_m)
        self.order.append("fingers")


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def arm(hand: Hand) -> GuardedArm:
    arm = GuardedArm(hand, build_guard(roomy(n_values=4, lockstep=True)), grip=hand.grip)
    arm.engage()
    return arm


@pytest.mark.parametrize(("asked", "opening_m"), [(1.0, [0.05]), (-1.0, [0.0]), (0.3, []), (-0.5, [])])
def test_the_fingers_are_told_before_the_arm_and_what_they_were_told_is_what_is_stored(hand, arm, asked, opening_m):
    executed = arm.execute(action(values=(0.1, 0.0, 0.0, asked)), SPACE, 0, 0.0)
    assert hand.openings_m == opening_m
    assert hand.order == ["fingers"] * len(opening_m) + ["arm"]
    assert executed.values[3] == np.float32(asked)


BAD = {
    "not a number": ((0.0, 0.0, 0.0, float("nan")), Reason.NOT_FINITE),
    "infinite": ((0.0, 0.0, 0.0, float("inf")), Reason.NOT_FINITE),
    "out of range": ((0.0, 0.0, 0.0, -3.0), Reason.RANGE),
    "no gripper's value": ((0.0, 0.0, 0.0), Reason.SHAPE),
    "a bad motion beside it": ((float("nan"), 0.0, 0.0, 1.0), Reason.NOT_FINITE),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_refused_action_leaves_the_fingers_as_they_are_and_stores_that(hand, arm, kind):
    values, reason = BAD[kind]
    executed = arm.execute(action(values=values), SPACE, 0, 0.0)
    assert executed.reasons & reason
    assert hand.openings_m == []
    assert executed.values.shape == (4,)
    assert executed.values[3] == 0.0


def test_fingers_are_told_nothing_before_the_arm_is_armed_and_after_a_stop(hand):
    arm = GuardedArm(hand, build_guard(roomy(n_values=4, lockstep=True)), grip=hand.grip)
    grasp = action(values=(0.0, 0.0, 0.0, -1.0))
    arm.execute(grasp, SPACE, 0, 0.0)
    arm.engage()
    arm.guard.latch()
    arm.execute(grasp, SPACE, 0, 0.0)
    assert hand.openings_m == []


def test_an_arm_that_was_given_no_gripper_says_so_instead_of_storing_a_grasp_that_never_was(hand):
    arm = GuardedArm(hand, build_guard(roomy(n_values=4, lockstep=True)))
    arm.engage()
    with pytest.raises(ArmError, match="pass grip="):
        arm.execute(action(values=(0.0, 0.0, 0.0, -1.0)), SPACE, 0, 0.0)
