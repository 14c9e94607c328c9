"""Following a reference: it arrives, it waits for the arm, it gives up in bounded time and says why."""

from __future__ import annotations

import numpy as np
import pytest
from point_arm import SCALE_M, PointArm

from o2o_robot.errors import ConfigError
from o2o_robot.reset.follow import Motion, follow
from o2o_robot.reset.orders import Halted, Move, Resume
from o2o_robot.safety.reason import Reason
from o2o_robot.types import Source

MOTION = Motion(scale_m=SCALE_M)
HOME_M = np.array([0.5, 0.0, 0.25])


def gone(arm: PointArm, motion: Motion = MOTION) -> str:
    talk = follow(motion.pace.reference([arm.at_m, HOME_M]), arm.felt, motion)
    return arm.carried_out(talk).why


def test_a_free_arm_arrives_and_no_action_asks_for_more_than_one():
    arm = PointArm()
    assert gone(arm) == ""
    assert np.linalg.norm(arm.at_m - HOME_M) <= MOTION.near_m
    asks_little = Motion(scale_m=SCALE_M / 8)
    hasty = PointArm(holds=lambda at, to: at + 0.1 * (to - at))
    assert gone(hasty, asks_little) == ""
    assert max(np.abs(order.values).max() for order in hasty.orders if isinstance(order, Move)) == 1.0


def test_an_arm_at_its_goal_is_asked_for_nothing():
    arm = PointArm(at_m=HOME_M)
    assert gone(arm) == ""
    assert arm.orders == []


def test_a_slow_arm_is_waited_for_and_never_left_further_behind_than_the_lead():
    slow = PointArm(holds=lambda at, to: at + 0.3 * (to - at))
    motion = Motion(scale_m=SCALE_M, lead_m=0.008)
    reference = motion.pace.reference([slow.at_m, HOME_M])
    assert slow.carried_out(follow(reference, slow.felt, motion)).why == ""
    assert slow.n(Move) > len(reference)
    asked_m = max(SCALE_M * np.abs(order.values).max() for order in slow.orders if isinstance(order, Move))
    assert asked_m <= motion.lead_m + motion.pace.speed_m_s * motion.pace.period_s


def test_a_blocked_arm_is_given_up_after_its_patience_and_the_words_say_how_far_it_got():
    arm = PointArm(holds=lambda at, to: np.minimum(to, [9.0, 9.0, 0.15]))
    assert "stuck" in (why := gone(arm))
    assert "100 mm" in why or "60 mm" in why or "mm from" in why
    assert arm.n(Move) < len(MOTION.pace.reference([arm.at_m, HOME_M])) + 60


def test_a_latched_guard_ends_it_at_once():
    arm = PointArm(reasons=lambda n: Reason.LATCHED | Reason.HOLD if n >= 3 else Reason(0))
    with pytest.raises(Halted, match="stopped the arm"):
        gone(arm)
    assert arm.n(Move) == 3


def test_a_guard_that_never_follows_ends_it_after_its_patience():
    arm = PointArm(reasons=lambda n: Reason.NOT_ARMED | Reason.HOLD)
    with pytest.raises(Halted, match="guard not armed"):
        gone(arm)
    assert arm.n(Move) == MOTION.patience + 1


def test_a_soft_stop_that_is_over_is_left_by_a_start_anew():
    arm = PointArm()
    arm.reasons = lambda n: Reason.SOFT_STOP | Reason.HOLD if n > 4 and not arm.n(Resume) else Reason(0)
    assert gone(arm) == ""
    assert arm.n(Resume) == 1


def test_a_person_who_takes_over_is_waited_for_however_long_it_takes():
    held = range(5, 5 + 4 * MOTION.patience)
    arm = PointArm(source=lambda n: Source.TELEOP if n in held else Source.SCRIPTED)
    arm.reasons = lambda n: Reason.TAKEOVER | Reason.HOLD if n in held[10:] else Reason(0)
    assert gone(arm) == ""
    assert arm.n(Resume) == 0


def test_actions_with_a_gripper_carry_its_value():
    arm = PointArm()
    assert gone(arm, Motion(scale_m=SCALE_M, grip=1.0)) == ""
    assert {tuple(order.values[3:]) for order in arm.orders} == {(1.0,)}


@pytest.mark.parametrize("wrong", [{"scale_m": 0.0}, {"near_m": 0.1}, {"patience": 0}])
def test_an_impossible_motion_is_refused(wrong):
    with pytest.raises(ConfigError):
        Motion(**wrong)
