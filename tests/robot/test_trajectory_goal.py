"""When a trajectory counts as followed to its end."""

from __future__ import annotations

import numpy as np
import pytest

from o2o_robot.robot.joint_path import JointPath
from o2o_robot.robot.trajectory_goal import NS, USUAL_RAD, USUAL_S, Reached, TrajectoryGoal

PATH = JointPath(np.array([0, 5 * NS]), np.array([[0.0, 0.0], [1.0, -1.0]]))
END = PATH.q_rad[-1]


def goal(tolerance_rad: dict[str, float] | None = None, patience_s: float = 0.0) -> TrajectoryGoal:
    return TrajectoryGoal.of(PATH, ("a", "b"), tolerance_rad or {}, patience_s)


def off(*rad: float) -> np.ndarray:
    return np.array(rad)


def test_nothing_is_done_before_the_trajectorys_time_however_near_the_arm_is():
    assert goal().judge(5 * NS - 1, END) is Reached.UNDER_WAY
    assert goal().judge(5 * NS, END) is Reached.DONE


@pytest.mark.parametrize("off_rad", [0.5 * USUAL_RAD, -0.5 * USUAL_RAD])
def test_every_joint_must_be_near_on_either_side(off_rad):
    assert goal().judge(5 * NS, END + off(0.0, off_rad)) is Reached.DONE
    assert goal().judge(5 * NS, END + off(0.0, 3 * off_rad)) is Reached.UNDER_WAY


def test_an_arm_that_stays_away_is_given_its_time_and_then_missed():
    away = END + 0.1
    assert goal().judge(5 * NS + round(USUAL_S * NS) - 1, away) is Reached.UNDER_WAY
    assert goal().judge(5 * NS + round(USUAL_S * NS), away) is Reached.MISSED
    assert goal(patience_s=0.5).judge(5 * NS + NS // 2, away) is Reached.MISSED


def test_tolerances_are_the_goals_own_by_name_and_below_zero_none():
    wide = goal({"b": 0.2, "a": -1.0})
    assert wide.judge(5 * NS, END + off(7.0, 0.15)) is Reached.DONE
    assert wide.judge(5 * NS, END + off(0.0, 0.25)) is Reached.UNDER_WAY


def test_the_fault_names_the_joint_that_is_furthest_out_of_its_own_tolerance():
    told = goal({"a": 0.5}).fault(END + off(0.4, 0.02))
    assert told.startswith("b is 0.020 rad")
    assert "0.001 are allowed" in told
