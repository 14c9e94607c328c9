"""The controllers that a real arm would run, of which one is active: what each hears, as a tool pose to go to.

Stand-ins for CRISP's Cartesian and joint impedance controllers, ros2_control's forward position and joint trajectory
controllers, and MoveIt Servo, on their topics. They refuse what those refuse: a wrong frame, missing joints, numbers
that are not finite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from o2o_nodes import arm_messages, convert, qos
from o2o_nodes.arm_topics import ArmTopics
from o2o_nodes.node import HouseNode
from o2o_robot.errors import ArmError
from o2o_robot.robot.joint_path import JointPath
from o2o_robot.robot.rotation import rotated
from o2o_robot.types import ArmState, Array, Pose

SERVO_TIMEOUT_NS = 100_000_000  # MoveIt Servo's incoming_command_timeout; a twist this old is no command any more
LEASH_M = 0.03  # Servo's reference leads the tool by no more: pressed against something, it does not run away

NONE = ""  # the name of no controller

Goal = Pose | Array
"""Where the arm is to go: a tool pose in its base, or joint positions (n,) rad."""


class Controller:
    """Takes its topic's messages; says where the arm should be `dt_s` from now, or None to leave it as it is."""

    message: type
    topic: str

    def __init__(self, topics: ArmTopics, joints: list[str], *, lockstep: bool) -> None:
        self._topics, self._joints, self._lockstep = topics, joints, lockstep

    def take(self, message: Any, state: ArmState) -> None:
        """Heed a message. Raises ArmError, and heeds nothing, where a real controller would refuse it."""
        raise NotImplementedError

    def goal(self, state: ArmState, dt_s: float) -> Goal | None:
        raise NotImplementedError

    def forget(self) -> None:
        """Another controller was active meanwhile, or the scene was reset: what was asked before does not hold."""
        raise NotImplementedError

    def _require_base(self, frame_id: str, *, may_be_empty: bool) -> None:
        if frame_id != self._topics.frame_id and not (may_be_empty and not frame_id):
            raise ArmError(f"frame '{frame_id}' is not the arm's base '{self._topics.frame_id}'; set header.frame_id")


class _Pointed(Controller):
    """Goes to the last point it was given and stays there, however long nothing more comes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._goal: Goal | None = None

    def take(self, message: Any, state: ArmState) -> None:
        self._goal = self._read(message)

    def goal(self, state: ArmState, dt_s: float) -> Goal | None:
        return self._goal

    def forget(self) -> None:
        self._goal = None

    def _read(self, message: Any) -> Goal:
        raise NotImplementedError


class CartesianPose(_Pointed):
    message, topic = PoseStamped, "target_pose"

    def _read(self, message: PoseStamped) -> Pose:
        self._require_base(message.header.frame_id, may_be_empty=True)
        pose = convert.pose(message)
        if not np.isfinite([*pose.position_m, *pose.quat_xyzw]).all():
            raise ArmError(f"target_pose {pose} is not finite; look at what computed it")
        if abs(np.linalg.norm(pose.quat_xyzw) - 1.0) > 1e-3:
            raise ArmError(f"target_pose's quaternion {pose.quat_xyzw} must have norm 1; normalise it")
        return pose


class JointImpedance(_Pointed):
    message, topic = JointState, "target_joint"

    def _read(self, message: JointState) -> Array:
        return arm_messages.joint_target(message, self._joints)


class ForwardPosition(_Pointed):
    message, topic = Float64MultiArray, "forward_position"

    def _read(self, message: Float64MultiArray) -> Array:
        return arm_messages.positions(message, len(self._joints), self._topics.forward_position)


class Trajectory(Controller):
    message, topic = JointTrajectory, "joint_trajectory"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._path: JointPath | None = None

    @property
    def path(self) -> JointPath:
        """The way it is on. Raises ArmError where it was given none."""
        if self._path is None:
            raise ArmError("no trajectory is followed; send one")
        return self._path

    def take(self, message: JointTrajectory, state: ArmState) -> None:
        # a new way begins where the old one wants the joints by now, as the real one's does; they lag behind that
        now_rad = state.q_rad if self._path is None else self._path.at(state.stamp_ns)
        self._path = arm_messages.path(message, self._joints, state.stamp_ns, now_rad)

    def goal(self, state: ArmState, dt_s: float) -> Array | None:
        return None if self._path is None else self._path.at(state.stamp_ns + round(dt_s * 1e9))

    def forget(self) -> None:
        self._path = None


class ServoTwist(Controller):
    """Moves a reference with the twist it was last given; halts where that is zero or too old."""

    message, topic = TwistStamped, "servo_twist"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.forget()

    def forget(self) -> None:
        self._twist, self._came_ns = np.zeros(6), 0
        self._reference: Pose | None = None

    def take(self, message: TwistStamped, state: ArmState) -> None:
        self._require_base(message.header.frame_id, may_be_empty=False)
        twist = arm_messages.twist(message)
        if self._topics.twist_units == "unitless":
            scale = np.repeat([self._topics.twist_scale_m_s, self._topics.twist_scale_rad_s], 3)
            twist = np.clip(twist, -1.0, 1.0) * scale
        stamp_ns = convert.stamp_ns(message.header.stamp)
        if not self._lockstep and state.stamp_ns - stamp_ns >= SERVO_TIMEOUT_NS:
            raise ArmError(f"twist is {(state.stamp_ns - stamp_ns) * 1e-9:.2f} s old; stamp it with the present time")
        if not twist.any():
            self._halt(state)
        self._twist, self._came_ns = twist, state.stamp_ns

    def _halt(self, state: ArmState) -> None:
        """Stay where it is; told to halt again, stay where that was."""
        if self._twist.any():
            self._twist, self._reference = np.zeros(6), state.tool

    def goal(self, state: ArmState, dt_s: float) -> Pose | None:
        if not self._lockstep and state.stamp_ns - self._came_ns >= SERVO_TIMEOUT_NS:
            self._halt(state)
        if not self._twist.any():
            return self._reference
        led = self._reference or state.tool
        lead_m = led.position_m - state.tool.position_m
        lead_m = lead_m * min(1.0, LEASH_M / max(float(np.linalg.norm(lead_m)), 1e-9))
        position_m = state.tool.position_m + lead_m + self._twist[:3] * dt_s
        self._reference = Pose(position_m, rotated(led.quat_xyzw, self._twist[3:] * dt_s))
        return self._reference


CLASSES: dict[str, type[Controller]] = {
    "cartesian_pose": CartesianPose,
    "joint_impedance": JointImpedance,
    "forward_position": ForwardPosition,
    "joint_trajectory": Trajectory,
    "servo_twist": ServoTwist,
}


class Controllers:
    """All of them, listening; the messages of all but the active one are passed over.

    heard(stamp_ns) is called for each message that the active one heeds: its stamp, or None where its type has none.
    """

    def __init__(
        self,
        node: HouseNode,
        topics: ArmTopics,
        joints: Sequence[str],
        *,
        state: Callable[[], ArmState],
        heard: Callable[[int | None], None],
    ) -> None:
        self._node, self._topics, self._state, self._heard = node, topics, state, heard
        self._all = {name: make(topics, list(joints), lockstep=node.lockstep) for name, make in CLASSES.items()}
        self.active = topics.controller
        self._resting_at: Pose | None = None
        for name, controller in self._all.items():
            topic = getattr(topics, controller.topic)
            node.create_subscription(
                controller.message, topic, lambda message, name=name: self._take(name, message), qos.COMMAND
            )

    def switch(self, name: str) -> None:
        """Make another one active; nothing that was asked before holds. Raises ConfigError for one there is not."""
        self.active = replace(self._topics, controller=name).controller
        self.forget()

    def rest(self) -> None:
        """Make none active: the arm stays where it is, whatever is said, until another switch."""
        self.active = NONE
        self.forget()
        self._resting_at = self._state().tool

    def forget(self) -> None:
        self._resting_at = None
        for controller in self._all.values():
            controller.forget()

    def goal(self, dt_s: float) -> Goal | None:
        """Where the active one wants the arm `dt_s` from now; None: where it already goes."""
        return self._resting_at if self.active == NONE else self._all[self.active].goal(self._state(), dt_s)

    def follow(self, trajectory: JointTrajectory) -> JointPath:
        """Set out on a trajectory given by other means than its topic. Raises ArmError where it cannot be followed."""
        follower = self._all["joint_trajectory"]
        if self.active != "joint_trajectory":
            raise ArmError(f"the active controller is {self.active or 'none'}; switch to joint_trajectory first")
        assert isinstance(follower, Trajectory)
        follower.take(trajectory, self._state())
        return follower.path

    def _take(self, name: str, message: Any) -> None:
        if name != self.active:
            return  # clients such as crisp_py speak on the topics of several at once
        try:
            self._all[name].take(message, self._state())
        except ArmError as problem:
            self._node.get_logger().error(f"{name} refused: {problem}", throttle_duration_sec=1.0)
            return
        stamped = getattr(message, "header", None)
        self._heard(convert.stamp_ns(stamped.stamp) if stamped is not None else None)
