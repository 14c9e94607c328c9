"""Joints for a pose, velocities toward one, positions along a path."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from o2o_robot.errors import ArmError, LimitError
from o2o_robot.robot.inverse import InverseKinematics
from o2o_robot.robot.joint_path import JointPath
from o2o_robot.robot.rotation import rotated, rotation_vector
from o2o_robot.robot.twist import TwistToward
from o2o_robot.safety.limits_table import fr3_conservative, ur5e_conservative
from o2o_robot.types import Pose

FACTS = {"fr3": fr3_conservative(), "ur5e": ur5e_conservative()}
READY_RAD = {
    "fr3": np.array([0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785]),
    "ur5e": np.array([0.27, -1.65, 2.10, -2.02, -1.571, -1.3]),
}
DOWN = np.array([1.0, 0.0, 0.0, 0.0])


@pytest.fixture(params=["fr3", "ur5e"])
def robot(request) -> str:
    return request.param


def inverse_of(robot: str) -> InverseKinematics:
    facts = FACTS[robot]
    return InverseKinematics(facts.kinematics, facts.min_rad, facts.max_rad)


def test_the_joints_found_put_the_tool_at_the_pose_and_lie_within_the_limits(robot):
    inverse, facts, rng = inverse_of(robot), FACTS[robot], np.random.default_rng(0)
    for _ in range(100):
        near_rad = READY_RAD[robot] + rng.uniform(-0.2, 0.2, facts.kinematics.n_joints)
        wished = facts.kinematics.fk(near_rad + rng.uniform(-0.15, 0.15, facts.kinematics.n_joints))
        q_rad = inverse(wished, near_rad=near_rad)
        tool = facts.kinematics.fk(q_rad)
        assert np.linalg.norm(tool.position_m - wished.position_m) < 1e-5
        assert np.linalg.norm(rotation_vector(tool.quat_xyzw, wished.quat_xyzw)) < 1e-4
        assert (q_rad >= facts.min_rad).all()
        assert (q_rad <= facts.max_rad).all()


def test_joints_that_are_there_already_are_left_as_they_are(robot):
    q_rad = READY_RAD[robot]
    tool = FACTS[robot].kinematics.fk(q_rad)
    np.testing.assert_array_equal(inverse_of(robot)(tool, near_rad=q_rad), q_rad)


def test_a_limit_that_stands_in_the_way_is_kept_and_the_other_joints_do_the_rest():
    inverse, start_rad = inverse_of("fr3"), READY_RAD["fr3"]
    tool = inverse.kinematics.fk(start_rad)
    wished = Pose(tool.position_m + np.array([0.0, 0.08, 0.0]), tool.quat_xyzw)
    free_rad = inverse(wished, near_rad=start_rad)
    assert free_rad[0] > 0.04
    narrow = replace(inverse, max_rad=np.r_[0.02, inverse.max_rad[1:]])
    kept_rad = narrow(wished, near_rad=start_rad)
    assert kept_rad[0] <= 0.02
    np.testing.assert_allclose(inverse.kinematics.fk(kept_rad).position_m, wished.position_m, atol=1e-5)


def test_a_pose_out_of_reach_is_refused_and_not_approached(robot):
    with pytest.raises(ArmError, match="within limits"):
        inverse_of(robot)(Pose(np.array([3.0, 0.0, 0.3]), DOWN), near_rad=READY_RAD[robot])


def test_limits_that_no_arm_could_keep_are_refused_at_build():
    facts = FACTS["fr3"]
    with pytest.raises(LimitError, match="below"):
        InverseKinematics(facts.kinematics, facts.max_rad, facts.min_rad)
    with pytest.raises(LimitError, match="7 joints"):
        InverseKinematics(facts.kinematics, facts.min_rad[:6], facts.max_rad[:6])


def test_a_tool_is_where_it_was_measured_at_those_joints_and_turns_with_the_arm_at_others(robot):
    facts, q_rad = FACTS[robot], READY_RAD[robot]
    tooled = facts.kinematics.with_tool((0.01, -0.02, 0.13), (0.0, 0.0, 0.6, 0.8))
    found = facts.kinematics.with_tool_at(tooled.fk(q_rad), q_rad)
    np.testing.assert_allclose(found.end, tooled.end, atol=1e-12)


# --- velocities ----------------------------------------------------------------------------------------------------
def test_a_twist_points_at_the_target_and_is_never_faster_than_allowed():
    toward, rng = TwistToward(reach_s=0.1, max_m_s=0.2, max_rad_s=0.4), np.random.default_rng(1)
    for _ in range(200):
        tool = Pose(rng.uniform(-0.5, 0.5, 3), DOWN)
        shift_m, turn_rad = rng.normal(0, 0.05, 3), rng.normal(0, 0.1, 3)
        twist = toward(Pose(tool.position_m + shift_m, rotated(DOWN, turn_rad)), tool)
        assert np.linalg.norm(twist[:3]) <= 0.2 + 1e-12
        assert np.linalg.norm(twist[3:]) <= 0.4 + 1e-12
        assert twist[:3] @ shift_m == pytest.approx(np.linalg.norm(twist[:3]) * np.linalg.norm(shift_m))
        assert twist[3:] @ turn_rad == pytest.approx(np.linalg.norm(twist[3:]) * np.linalg.norm(turn_rad))


def test_at_the_target_the_twist_is_exactly_zero():
    tool = Pose(np.array([0.4, 0.1, 0.2]), DOWN)
    near = Pose(tool.position_m + 1e-4, rotated(DOWN, np.full(3, 3e-4)))
    np.testing.assert_array_equal(TwistToward()(near, tool), np.zeros(6))


@pytest.mark.parametrize("setting", ["reach_s", "max_m_s", "max_rad_s", "near_m", "near_rad"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_a_twist_law_of_impossible_numbers_is_refused_at_build(setting, value):
    with pytest.raises(LimitError, match=setting):
        TwistToward(**{setting: value})


# --- paths ---------------------------------------------------------------------------------------------------------
LONG_AGO_NS = 1_800_000_000_000_000_000  # a real clock's stamp, which no double holds to the nanosecond


def test_a_path_is_at_its_points_at_their_times_between_them_in_between_and_held_outside():
    points = np.array([[0.0, 1.0], [0.2, 0.8], [0.2, 0.0]])
    path = JointPath(LONG_AGO_NS + np.array([0, 10_000_000, 30_000_000]), points)
    for ns, q_rad in zip(path.at_ns, points, strict=True):
        np.testing.assert_allclose(path.at(int(ns)), q_rad, atol=1e-9)
    np.testing.assert_allclose(path.at(LONG_AGO_NS + 5_000_000), [0.1, 0.9], atol=1e-9)
    np.testing.assert_array_equal(path.at(0), points[0])
    np.testing.assert_array_equal(path.at(2 * LONG_AGO_NS), points[-1])


@pytest.mark.parametrize(
    ("at_ns", "q_rad", "why"),
    [([0, 0], [[0.0], [1.0]], "increase"), ([0], [[np.nan]], "finite"), ([], np.zeros((0, 1)), "one time")],
)
def test_a_path_that_cannot_be_followed_is_refused(at_ns, q_rad, why):
    with pytest.raises(ArmError, match=why):
        JointPath(np.array(at_ns), np.array(q_rad))
