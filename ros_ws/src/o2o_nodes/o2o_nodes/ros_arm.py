"""An arm behind topics: what a driver, CRISP's controllers or the twin publish is read, its active controller told."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, WrenchStamped
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from o2o_nodes import arm_messages, convert, qos
from o2o_nodes.arm_outputs import make_output
from o2o_nodes.arm_topics import ArmTopics
from o2o_nodes.node import HouseNode
from o2o_robot.errors import ArmError, ConfigError
from o2o_robot.robot.arm import Sent
from o2o_robot.robot.inverse import InverseKinematics
from o2o_robot.robot.rotation import matrix_from_quat
from o2o_robot.types import ArmState, Array, Pose

FUTURE_NS = 20_000_000  # /clock may come after what was measured by it; the guard's own bound is no lower


class RosArm:
    """The arm contract over the topics and the controller that `topics` names.

    `on_state` is called whenever a newer whole state may be there. A message that cannot be read (a joint is missing, a
    frame is another) is told about and left out; the state then grows old, and the guard stops.
    """

    def __init__(
        self,
        node: HouseNode,
        *,
        joints: list[str],
        topics: ArmTopics,
        inverse: InverseKinematics,
        on_state: Callable[[], None],
        steady_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._node, self._joints, self._topics, self._inverse = node, joints, topics, inverse
        self._on_state, self._steady_s = on_state, steady_s
        self._joint_state: tuple[int, Array, Array] | None = None
        self._pose: tuple[int, Pose] | None = None
        self._wrench: tuple[int, Array] | None = None
        self._gripper_m = 0.0
        self._news = (0, 0.0)  # stamp of the newest whole state, and when it came by the steady clock
        if len(joints) != inverse.kinematics.n_joints:
            raise ConfigError(
                f"the parameter joints names {len(joints)}, the arm of the parameter limits has "
                f"{inverse.kinematics.n_joints}; give the names of one robot, and its limits"
            )
        self._output = make_output(node, topics, joints, inverse)
        self._gripper_out = (
            node.create_publisher(Float64MultiArray, topics.gripper_command, qos.COMMAND)
            if topics.gripper_command
            else None
        )
        self._hear(JointState, topics.joint_states, self._on_joints)
        self._hear(PoseStamped, topics.current_pose, self._on_pose)
        self._hear(WrenchStamped, topics.external_wrench, self._on_wrench)
        self._hear(JointState, topics.gripper_states, self._on_gripper)

    @property
    def stamp_ns(self) -> int:
        """Stamp of the newest whole state, 0 before the first: that of its oldest part.

        But a part from the future speaks for all: the guard stops for it, and beside the others it would go unseen.
        """
        parts: list[tuple | None] = [self._joint_state]
        parts += [self._pose] if self._topics.current_pose else []
        parts += [self._wrench] if self._topics.external_wrench else []
        stamps_ns = [part[0] for part in parts if part is not None]
        if len(stamps_ns) < len(parts):
            return 0
        from_future = not self._node.lockstep and max(stamps_ns) > self._node.now_ns() + FUTURE_NS
        return max(stamps_ns) if from_future else min(stamps_ns)

    @property
    def is_heard(self) -> bool:
        """Whether somebody listens to the commands."""
        return self._output.publisher.get_subscription_count() > 0

    def read(self) -> ArmState:
        if not self.stamp_ns or self._joint_state is None:
            raise ArmError(f"nothing was heard on '{self._missing()}' yet; is the driver, or twin_node, running?")
        _, q_rad, dq_rad = self._joint_state
        tool = self._pose[1] if self._pose else self._inverse.kinematics.fk(q_rad)
        return ArmState(self.stamp_ns, q_rad, dq_rad, tool, self._gripper_m, self._wrench_in_base(tool))

    def command(self, target: Pose) -> Sent:
        if not (np.isfinite(target.position_m).all() and np.isfinite(target.quat_xyzw).all()):
            raise ArmError(f"target {target} is not finite; look at what computed it")
        # in lockstep the stamp says which instant the command answers; on a robot it is when it was sent
        ns = self.stamp_ns if self._node.lockstep else self._node.now_ns()
        self._output.send(target, self.read(), ns, is_fresh=self._is_fresh())
        return Sent(target)

    def hold(self) -> Sent:
        return self.command(self.read().tool)

    def grip(self, opening_m: float) -> None:
        """Bring the fingers that far apart. Raises ArmError where it is not finite, or the arm has no gripper."""
        if self._gripper_out is None or not np.isfinite(opening_m):
            raise ArmError(f"cannot open the gripper to {opening_m} m; give metres, and arm.gripper_command a topic")
        self._gripper_out.publish(arm_messages.numbers(np.array([opening_m])))

    def _is_fresh(self) -> bool:
        return self._node.lockstep or self._steady_s() - self._news[1] < self._topics.pose_age_s

    def _missing(self) -> str:
        topics = self._topics
        heard = {topics.joint_states: self._joint_state, topics.current_pose: self._pose}
        heard[topics.external_wrench] = self._wrench
        return ", ".join(name for name, part in heard.items() if name and part is None)

    def _wrench_in_base(self, tool: Pose) -> Array | None:
        if self._wrench is None or self._topics.wrench_frame == "base":
            return self._wrench[1] if self._wrench else None
        R_base_tool = matrix_from_quat(tool.quat_xyzw)
        force_n, torque_nm = np.split(self._wrench[1], 2)
        return np.concatenate([R_base_tool @ force_n, R_base_tool @ torque_nm])

    # --- what is heard -------------------------------------------------------------------------------------------
    def _hear(self, kind: type, topic: str, take: Callable[[Any], None]) -> None:
        """Listen where a topic is named; leave out, and tell of, what cannot be read."""

        def hear(message: Any) -> None:
            try:
                take(message)
            except ArmError as problem:
                self._node.get_logger().error(f"{topic}: {problem}", throttle_duration_sec=2.0)
                return
            if self.stamp_ns != self._news[0]:  # the same look again is no news to steer by
                self._news = (self.stamp_ns, self._steady_s())
            self._on_state()

        if topic:
            self._node.create_subscription(kind, topic, hear, qos.sensor_in(lockstep=self._node.lockstep))

    def _on_joints(self, message: JointState) -> None:
        if message.name and not set(self._joints) & set(message.name):
            return  # of a gripper that shares the topic
        q_rad, dq_rad = arm_messages.measured(message, self._joints)
        self._joint_state = (convert.stamp_ns(message.header.stamp), q_rad, dq_rad)

    def _on_pose(self, message: PoseStamped) -> None:
        if message.header.frame_id not in ("", self._topics.frame_id):
            raise ArmError(
                f"a pose in frame '{message.header.frame_id}', this arm's base is '{self._topics.frame_id}'; "
                "set arm.frame_id where they are the same, else have the driver publish in that frame"
            )
        self._pose = (convert.stamp_ns(message.header.stamp), convert.pose(message))

    def _on_wrench(self, message: WrenchStamped) -> None:
        self._wrench = (convert.stamp_ns(message.header.stamp), arm_messages.wrench(message))

    def _on_gripper(self, message: JointState) -> None:
        self._gripper_m = float(arm_messages.measured(message, [self._topics.gripper_joint])[0][0])
