"""Numbers out of messages: a path leads to them, whole poses come in one order, and what is not there is named."""

from __future__ import annotations

import numpy as np
import pytest
from ros_bags import joy, make, pose, pose_stamped
from twin_bags import header, joint_state

from o2o_robot.data.bags.field_path import parse
from o2o_robot.data.contract import ActionStream, OutcomeStream, RewardStream, Split, StateField
from o2o_robot.data.decode import numbers, text
from o2o_robot.errors import ConfigError, DataError

POSE = pose_stamped(0, (1, 2, 3), (0.1, 0.2, 0.3, 0.4))
JOY = joy(0, [0, 1, 0, 1], (0.5, -0.5, 0.25))
Vector3 = "geometry_msgs/msg/Vector3"


def vector(*values: float) -> object:
    return make(Vector3, **dict(zip("xyz", values, strict=True)))


def array(values: list[float]) -> object:
    layout = make("std_msgs/msg/MultiArrayLayout", dim=[], data_offset=0)
    return make("std_msgs/msg/Float64MultiArray", layout=layout, data=np.array(values, np.float64))


@pytest.mark.parametrize(
    ("message", "field", "expected"),
    [
        (POSE, "pose.position", [1, 2, 3]),
        (POSE, "pose.orientation", [0.1, 0.2, 0.3, 0.4]),
        (POSE, "pose", [1, 2, 3, 0.1, 0.2, 0.3, 0.4]),
        (POSE.pose, "", [1, 2, 3, 0.1, 0.2, 0.3, 0.4]),
        (POSE, "pose.position.y", [2]),
        (make("geometry_msgs/msg/Twist", linear=vector(1, 2, 3), angular=vector(4, 5, 6)), "", [1, 2, 3, 4, 5, 6]),
        (make("geometry_msgs/msg/Wrench", force=vector(1, 2, 3), torque=vector(4, 5, 6)), "", [1, 2, 3, 4, 5, 6]),
        (make("geometry_msgs/msg/Wrench", force=vector(1, 2, 3), torque=vector(4, 5, 6)), "torque", [4, 5, 6]),
        (
            make("geometry_msgs/msg/Transform", translation=vector(1, 2, 3), rotation=POSE.pose.orientation),
            "",
            [1, 2, 3, 0.1, 0.2, 0.3, 0.4],
        ),
        (JOY, "axes", [0.5, -0.5, 0.25]),
        (JOY, "axes[0:2]", [0.5, -0.5]),
        (JOY, "axes[1:]", [-0.5, 0.25]),
        (JOY, "axes[-1]", [0.25]),
        (JOY, "buttons[3]", [1]),
        (array([7, 8]), "data", [7, 8]),
        (make("std_msgs/msg/Float32", data=2.5), "data", [2.5]),
        (make("std_msgs/msg/Int32", data=-3), "data", [-3]),
        (make("std_msgs/msg/Bool", data=True), "data", [1]),
        (make("geometry_msgs/msg/PoseArray", header=header(0), poses=[POSE.pose]), "poses[0].position.z", [3]),
    ],
)
def test_a_path_gives_the_numbers_it_leads_to_in_their_usual_order(message, field, expected):
    found = numbers(message, field)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("message", "field", "said"),
    [
        (JOY, "axis", "Joy has no field 'axis'"),
        (JOY, "axes[3]", "its list has only 3 entries"),
        (JOY, "axes[1:4]", "its list has only 3 entries"),
        (JOY, "axes[-4]", "its list has only 3 entries"),
        (JOY, "header[0]", "before the .* is not a list"),
        (JOY, "header.frame_id[0]", "not a list"),
        (JOY, "", "not made of numbers; it has header, axes, buttons"),
        (POSE, "position", "PoseStamped has no field 'position'"),
        (make("std_msgs/msg/Float64", data=1e300), "data", "empty or not finite"),
        (make("std_msgs/msg/String", data="1.5"), "data", "not made of numbers"),
        (joint_state(0, ["a"], [1]), "name", "not made of numbers"),
    ],
)
def test_a_path_that_leads_nowhere_says_what_is_there(message, field, said):
    with pytest.raises(DataError, match=said):
        numbers(message, field)


@pytest.mark.parametrize(
    "path", ["axes[", "axes[]", "axes[a]", "axes[0:3", "a..b", ".a", "a.", "a b", "[0]", "a[0:1:2]"]
)
@pytest.mark.parametrize(
    "build",
    [
        lambda path: StateField("t", path),
        lambda path: ActionStream("t", "command", path),
        lambda path: RewardStream("t", path),
        lambda path: OutcomeStream("t", path),
        lambda path: Split("topic", "t", path),
    ],
)
def test_a_path_that_cannot_be_is_refused_when_the_contract_is_built(path, build):
    with pytest.raises(ConfigError, match="is not a name with"):
        build(path)


def test_an_empty_path_is_the_message_itself():
    assert parse("") == ()
    assert numbers(pose((1, 2, 3), (0, 0, 0, 1)), "").tolist() == [1, 2, 3, 0, 0, 0, 1]


def test_joints_are_found_by_name_in_a_trajectory_as_well():
    point = make(
        "trajectory_msgs/msg/JointTrajectoryPoint", positions=np.array([1.0, 2.0]), velocities=np.zeros(0),
        accelerations=np.zeros(0), effort=np.zeros(0),
        time_from_start=make("builtin_interfaces/msg/Duration", sec=0, nanosec=0),
    )  # fmt: skip
    message = make("trajectory_msgs/msg/JointTrajectory", header=header(0), joint_names=["a", "b"], points=[point])
    assert numbers(message, "points[0].positions", ("b", "a")).tolist() == [2, 1]


def test_joints_of_a_message_without_names_say_what_to_change():
    with pytest.raises(DataError, match="names none; leave `joints` out"):
        numbers(JOY, "axes", ("a",))


@pytest.mark.parametrize(
    ("message", "field", "expected"),
    [
        (make("std_msgs/msg/Bool", data=True), "data", "true"),
        (make("std_msgs/msg/Bool", data=False), "data", "false"),
        (make("std_msgs/msg/Int32", data=-1), "data", "-1"),
        (make("std_msgs/msg/Float64", data=1.0), "data", "1"),
        (make("std_msgs/msg/Float64", data=0.5), "data", "0.5"),
        (make("std_msgs/msg/String", data="done"), "data", "done"),
        (JOY, "buttons[1]", "1"),
    ],
)
def test_a_single_value_reads_as_a_contract_writes_it(message, field, expected):
    assert text(message, field) == expected


@pytest.mark.parametrize(("message", "field"), [(JOY, "buttons"), (POSE, "pose")])
def test_what_is_not_a_single_value_has_no_text(message, field):
    with pytest.raises(DataError, match="not a single value"):
        text(message, field)
