"""A tool pose as the message that the arm's active controller takes. Siblings: one class for each kind of controller.

    output = make_output(node, topics, joints, inverse)
    output.send(target, state, stamp_ns)        # publishes, or raises ArmError and publishes nothing

Controllers without a time-out (CRISP's, ros2_control's) are given positions only, which they hold when nothing more
comes. A velocity goes to Servo alone, which stops by itself when its commands are older than its time-out.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from o2o_nodes import arm_messages, convert, qos
from o2o_nodes.arm_topics import ArmTopics
from o2o_nodes.node import HouseNode
from o2o_robot.robot.fault_kinds import Joints
from o2o_robot.robot.inverse import InverseKinematics
from o2o_robot.robot.twist import ZERO
from o2o_robot.types import ArmState, Array, Pose

ASTRAY_RAD = 0.2  # a reference further than this from the joints is not theirs any more: somebody else moved the arm


class Output(Protocol):
    """Publishes a target for one kind of controller."""

    publisher: Any

    def send(self, target: Pose, state: ArmState, stamp_ns: int, *, is_fresh: bool) -> None:
        """Say where to go from `state`. is_fresh: whether that state is new enough to compute a velocity from."""
        ...


class PoseOutput:
    """`target_pose`: CRISP's Cartesian impedance controller."""

    def __init__(self, node: HouseNode, topics: ArmTopics) -> None:
        self._frame_id = topics.frame_id
        self.publisher = node.create_publisher(PoseStamped, topics.target_pose, qos.COMMAND)

    def send(self, target: Pose, state: ArmState, stamp_ns: int, *, is_fresh: bool) -> None:
        self.publisher.publish(convert.pose_message(target, stamp_ns, self._frame_id))


class _JointOutput:
    """Joint positions for the pose, near where the joints were told to be before."""

    message: type
    topic: str

    def __init__(self, node: HouseNode, topics: ArmTopics, joints: list[str], inverse: InverseKinematics) -> None:
        self._lockstep, self._topics, self._joints, self._inverse = node.lockstep, topics, joints, inverse
        self.publisher = node.create_publisher(self.message, getattr(topics, self.topic), qos.COMMAND)
        self._target: Pose | None = None
        self._q_rad: Array | None = None

    def send(self, target: Pose, state: ArmState, stamp_ns: int, *, is_fresh: bool) -> None:
        astray = self._q_rad is None or float(np.abs(self._q_rad - state.q_rad).max()) > ASTRAY_RAD
        is_new = astray or self._target is None or not _same(target, self._target)
        if is_new:
            self._q_rad = self._inverse(target, near_rad=state.q_rad if astray else self._q_rad)
            self._target = target
        self._say(self._q_rad, stamp_ns, is_new=is_new)

    def _say(self, q_rad: Array, stamp_ns: int, *, is_new: bool) -> None:
        raise NotImplementedError


class JointImpedanceOutput(_JointOutput):
    """`target_joint`: CRISP's joint impedance controller."""

    message, topic = JointState, "target_joint"

    def _say(self, q_rad: Array, stamp_ns: int, *, is_new: bool) -> None:
        at_rest = np.zeros_like(q_rad)
        self.publisher.publish(arm_messages.joint_state(Joints(tuple(self._joints), q_rad, at_rest), stamp_ns))


class ForwardPositionOutput(_JointOutput):
    """`<controller>/commands`: ros2_control's forward position controller."""

    message, topic = Float64MultiArray, "forward_position"

    def _say(self, q_rad: Array, stamp_ns: int, *, is_new: bool) -> None:
        self.publisher.publish(arm_messages.numbers(q_rad))


class JointTrajectoryOutput(_JointOutput):
    """`<controller>/joint_trajectory`: one point, said once, since each message restarts the way to it."""

    message, topic = JointTrajectory, "joint_trajectory"

    def _say(self, q_rad: Array, stamp_ns: int, *, is_new: bool) -> None:
        if is_new or self._lockstep:  # where physics waits, each message lets time pass
            start_ns = stamp_ns if self._lockstep else 0  # 0: from when it is received; a late one is not refused
            after_s = self._topics.time_from_start_s
            self.publisher.publish(arm_messages.trajectory(q_rad, self._joints, start_ns, after_s))


class ServoTwistOutput:
    """`delta_twist_cmds`: MoveIt Servo. Zero at the target, and where the pose to steer by is old."""

    def __init__(self, node: HouseNode, topics: ArmTopics) -> None:
        self._frame_id, self._toward = topics.frame_id, topics.twist()
        scales = np.repeat([topics.twist_scale_m_s, topics.twist_scale_rad_s], 3)
        self._scales = scales if topics.twist_units == "unitless" else None
        self.publisher = node.create_publisher(TwistStamped, topics.servo_twist, qos.COMMAND)

    def send(self, target: Pose, state: ArmState, stamp_ns: int, *, is_fresh: bool) -> None:
        twist = self._toward(target, state.tool) if is_fresh else ZERO
        if self._scales is not None:  # -1 to 1; beyond, Servo would clip each axis by itself and so turn the motion
            share = twist / self._scales
            twist = share / max(1.0, float(np.abs(share).max()))
        self.publisher.publish(arm_messages.twist_message(twist, stamp_ns, self._frame_id))


JOINT_OUTPUTS: dict[str, type[_JointOutput]] = {
    "joint_impedance": JointImpedanceOutput,
    "forward_position": ForwardPositionOutput,
    "joint_trajectory": JointTrajectoryOutput,
}


def make_output(node: HouseNode, topics: ArmTopics, joints: list[str], inverse: InverseKinematics) -> Output:
    """The output for `topics.controller`."""
    if topics.controller in JOINT_OUTPUTS:
        return JOINT_OUTPUTS[topics.controller](node, topics, joints, inverse)
    return {"cartesian_pose": PoseOutput, "servo_twist": ServoTwistOutput}[topics.controller](node, topics)


def _same(one: Pose, other: Pose) -> bool:
    return np.array_equal(one.position_m, other.position_m) and np.array_equal(one.quat_xyzw, other.quat_xyzw)
