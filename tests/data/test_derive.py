"""Actions from motion: steps add up to the way that was gone, turns are those of the arm, and no turn is made up."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ros_bags import make, pose, pose_stamped, recorded
from twin_bags import header, joint_state, write_bag

from o2o_robot.data.contract import ActionStream, Contract, StateField
from o2o_robot.data.ingest.derive import motion, pose_change
from o2o_robot.data.ingest.observe import Undecodable
from o2o_robot.data.ingest.plan import Plan
from o2o_robot.errors import DataError
from o2o_robot.types import Array

TICKS = [10, 20, 30]


def turn(rotvec: Array) -> Array:
    """Quaternion xyzw of a rotation vector (3,)."""
    angle = np.linalg.norm(rotvec)
    axis = rotvec / angle if angle else np.array([1.0, 0, 0])
    return np.append(np.sin(angle / 2) * axis, np.cos(angle / 2))


def matrix(q: Array) -> Array:
    x, y, z, w = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def moved(tmp_path, messages: list, action: ActionStream) -> Array:
    path = write_bag(tmp_path / "a.mcap", messages)
    contract = Contract("c", 10.0, {"s": StateField(action.topic)}, action)
    recording, names = recorded(path, contract)
    index = np.arange(len(messages))
    plan = Plan(np.array(TICKS), {action.topic: index}, index[:-1], np.full(len(index) - 1, -1))
    return motion(recording, contract, names, plan)


def poses(quats: list[Array], kind: str = "PoseStamped") -> list:
    made = []
    for i, (stamp_ns, quat) in enumerate(zip(TICKS, quats, strict=True)):
        position = (0.1 * i, 0.0, -0.2 * i)
        whole = pose(position, quat)
        message = {
            "PoseStamped": lambda p=position, q=quat, t=stamp_ns: pose_stamped(t, p, q),
            "Pose": lambda w=whole: w,
        }
        message["TransformStamped"] = lambda w=whole, t=stamp_ns: make(
            "geometry_msgs/msg/TransformStamped", header=header(t), child_frame_id="tool",
            transform=make(
                "geometry_msgs/msg/Transform", rotation=w.orientation,
                translation=make("geometry_msgs/msg/Vector3", x=w.position.x, y=w.position.y, z=w.position.z),
            ),
        )  # fmt: skip
        made.append(("/tool", f"geometry_msgs/msg/{kind}", stamp_ns, message[kind]()))
    return made


def test_joint_steps_are_the_differences_of_the_named_joints(tmp_path):
    messages = [
        ("/q", "sensor_msgs/msg/JointState", t, joint_state(t, ["b", "a"], values))
        for t, values in zip(TICKS, [[0, 1], [5, 1.5], [6, 1.25]], strict=True)
    ]
    found = moved(tmp_path, messages, ActionStream("/q", "delta_joint", joints=("a", "b")))
    assert found.tolist() == [[0.5, 5], [-0.25, 1]]


@pytest.mark.parametrize("kind", ["PoseStamped", "Pose", "TransformStamped"])
def test_pose_steps_are_metres_and_the_rotation_vector_in_the_base_frame(tmp_path, kind):
    first = turn(np.array([0.3, -0.2, 0.5]))
    second = _compose(turn(np.array([0, 0, np.pi / 2])), first)  # a quarter turn about the base's z
    found = moved(tmp_path, poses([first, second, second], kind), ActionStream("/tool", "delta_pose"))
    expected = [[0.1, 0, -0.2, 0, 0, np.pi / 2], [0.1, 0, -0.2, 0, 0, 0]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def _compose(a: Array, b: Array) -> Array:
    """The quaternion of matrix(a) @ matrix(b), by way of the eigenvector of the rotation."""
    rotation = matrix(a) @ matrix(b)
    values, vectors = np.linalg.eig(rotation)
    axis = np.real(vectors[:, np.argmin(np.abs(values - 1))])
    skew = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])
    return turn(axis * np.arctan2(skew @ axis / 2, (np.trace(rotation) - 1) / 2))


@given(
    first=st.tuples(*[st.floats(-3, 3)] * 3), step=st.tuples(*[st.floats(-1.7, 1.7)] * 3), sign=st.sampled_from([1, -1])
)
def test_turning_by_the_action_leads_from_one_pose_to_the_next(first, step, sign):
    before, after = turn(np.array(first)), _compose(turn(np.array(step)), turn(np.array(first)))
    (found,) = pose_change(np.vstack([np.append(np.zeros(3), before), np.append(np.ones(3), sign * after)]))
    np.testing.assert_allclose(matrix(turn(found[3:].astype(np.float64))) @ matrix(before), matrix(after), atol=2e-6)
    assert np.linalg.norm(found[3:]) <= np.pi + 1e-6


@pytest.mark.parametrize("angle_rad", [0.0, 1e-9, 1e-6, 1e-3])
def test_a_small_turn_keeps_its_size(angle_rad):
    rows = np.array(
        [np.append(np.zeros(3), turn(np.zeros(3))), np.append(np.zeros(3), turn(np.array([0, angle_rad, 0])))]
    )
    np.testing.assert_allclose(pose_change(rows)[0, 3:], [0, angle_rad, 0], rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize("bad", [(0, 0, 0, 0), (0, 0, 0, 1.01), (0.5, 0.5, 0.5, 0.6)])
def test_a_quaternion_that_is_no_rotation_is_refused_with_its_message(tmp_path, bad):
    unit = turn(np.zeros(3))
    with pytest.raises(Undecodable, match=r"quaternion has norm .*, a rotation has 1") as caught:
        moved(tmp_path, poses([unit, np.array(bad), unit]), ActionStream("/tool", "delta_pose"))
    assert (caught.value.topic, caught.value.indices) == ("/tool", [1])


def test_a_path_to_something_else_than_a_pose_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"needs a pose of 7 numbers, 'pose.orientation' has 4"):
        moved(tmp_path, poses([turn(np.zeros(3))] * 3), ActionStream("/tool", "delta_pose", "pose.orientation"))
