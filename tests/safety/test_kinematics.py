import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from o2o_robot.errors import LimitError
from o2o_robot.robot.kinematics import FR3_HAND_TCP_OFFSET_M, FR3_HAND_TCP_QUAT_XYZW, fr3, ur5e
from o2o_robot.robot.rotation import matrix_from_quat, quat_from_matrix, rotated, rotation_vector

H = np.pi / 2
READY_RAD = np.array([0, -np.pi / 4, 0, -3 * np.pi / 4, 0, H, np.pi / 4])
ANGLES7 = arrays(np.float64, 7, elements=st.floats(-2.5, 2.5))
VECTOR = arrays(np.float64, 3, elements=st.floats(-1.7, 1.7))


@pytest.mark.parametrize(
    ("arm", "q_rad", "position_m"),
    [
        (fr3(), np.zeros(7), (0.088, 0.0, 0.926)),
        (fr3(), READY_RAD, (0.306891, 0.0, 0.590282)),
        (fr3().with_tool(FR3_HAND_TCP_OFFSET_M, FR3_HAND_TCP_QUAT_XYZW), READY_RAD, (0.306891, 0.0, 0.486882)),
        (ur5e(), np.zeros(6), (-0.8172, -0.2329, 0.0628)),
        (ur5e(), np.array([0, -H, H, -H, -H, 0]), (-0.4919, -0.1333, 0.4879)),
    ],
)
def test_forward_kinematics_meet_the_published_anchors(arm, q_rad, position_m):
    np.testing.assert_allclose(arm.fk(q_rad).position_m, position_m, atol=1e-6)


def test_the_fr3_hand_points_straight_down_in_the_ready_pose():
    pose = fr3().with_tool(FR3_HAND_TCP_OFFSET_M, FR3_HAND_TCP_QUAT_XYZW).fk(READY_RAD)
    np.testing.assert_allclose(matrix_from_quat(pose.quat_xyzw), np.diag([1.0, -1.0, -1.0]), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(q_rad=ANGLES7, direction=ANGLES7)
def test_jacobian_is_the_derivative_of_forward_kinematics(q_rad, direction):
    arm, h = fr3().with_tool((0.02, -0.03, 0.1)), 1e-6
    before, after = arm.fk(q_rad - h * direction), arm.fk(q_rad + h * direction)
    twist = arm.jacobian(q_rad) @ direction
    np.testing.assert_allclose((after.position_m - before.position_m) / (2 * h), twist[:3], atol=1e-6)
    np.testing.assert_allclose(rotation_vector(before.quat_xyzw, after.quat_xyzw) / (2 * h), twist[3:], atol=1e-5)


def test_a_joint_step_moves_the_tool_by_the_twist_it_was_asked_for():
    arm, twist = fr3(), np.array([0.001, -0.002, 0.001, 0.002, 0.0, -0.001])
    before = arm.fk(READY_RAD)
    after = arm.fk(READY_RAD + arm.joint_step(READY_RAD, twist))
    np.testing.assert_allclose(after.position_m - before.position_m, twist[:3], atol=2e-5)
    np.testing.assert_allclose(rotation_vector(before.quat_xyzw, after.quat_xyzw), twist[3:], atol=2e-5)


def test_a_joint_step_stays_finite_at_a_singularity():
    step = ur5e().joint_step(np.zeros(6), np.array([0.01, 0, 0, 0, 0, 0]))  # straight arm, reaching along itself
    assert np.abs(step).max() < 1.0


def test_joints_of_another_robot_are_refused_by_name_of_the_fault():
    with pytest.raises(LimitError, match="this arm has 7 joints"):
        fr3().fk(np.zeros(6))


@settings(max_examples=60, deadline=None)
@given(start=VECTOR, turn=VECTOR)
def test_turning_by_the_rotation_vector_between_two_poses_gives_the_second(start, turn):
    first = rotated(np.array([0.0, 0.0, 0.0, 1.0]), start)
    second = rotated(first, turn)
    np.testing.assert_allclose(rotation_vector(first, second), turn, atol=1e-7)
    np.testing.assert_allclose(rotation_vector(first, -second), turn, atol=1e-7)  # q and -q are one rotation
    matrix = matrix_from_quat(second)
    np.testing.assert_allclose(matrix_from_quat(quat_from_matrix(matrix)), matrix, atol=1e-9)
