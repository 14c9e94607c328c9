"""An arm behind topics: what a driver, CRISP's controllers or the twin publish is read, a target pose is commanded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import PoseStamped, WrenchStamped
from sensor_msgs.msg import JointState

from o2o_nodes import convert, qos
from o2o_nodes.node import HouseNode
from o2o_robot.errors import ArmError
from o2o_robot.robot.arm import Sent
from o2o_robot.types import ArmState, Pose


class RosArm:
    """The arm contract over `joint_states`, `current_pose`, `external_wrench` (optional) and `target_pose`.

    `on_state` is called whenever a newer whole state is there.
    """

    def __init__(self, node: HouseNode, *, joints: list[str], on_state: Callable[[], None]) -> None:
        self._node, self._joints, self._on_state = node, joints, on_state
        self._joint_state: tuple[int, np.ndarray, np.ndarray] | None = None
        self._pose: tuple[int, Pose] | None = None
        self._wrench: np.ndarray | None = None
        profile = qos.sensor_in(lockstep=node.lockstep)
        node.create_subscription(JointState, "joint_states", self._on_joints, profile)
        node.create_subscription(PoseStamped, "current_pose", self._on_pose, profile)
        node.create_subscription(WrenchStamped, "external_wrench", self._on_wrench, profile)
        self._out = node.create_publisher(PoseStamped, "target_pose", qos.COMMAND)

    @property
    def stamp_ns(self) -> int:
        """Stamp of the newest whole state, 0 before the first."""
        return min(self._joint_state[0], self._pose[0]) if self._joint_state and self._pose else 0

    @property
    def is_heard(self) -> bool:
        """Whether somebody listens to the commands."""
        return self._out.get_subscription_count() > 0

    def read(self) -> ArmState:
        if self._joint_state is None or self._pose is None:
            missing = "joint_states" if self._joint_state is None else "current_pose"
            raise ArmError(f"nothing was heard on '{missing}' yet; is the driver, or twin_node, running?")
        _, q_rad, dq_rad = self._joint_state
        return ArmState(self.stamp_ns, q_rad, dq_rad, self._pose[1], wrench=self._wrench)

    def command(self, target: Pose) -> Sent:
        if not (np.isfinite(target.position_m).all() and np.isfinite(target.quat_xyzw).all()):
            raise ArmError(f"target {target} is not finite; look at what computed it")
        # in lockstep the stamp says which instant the command answers; on a robot it is when it was sent
        ns = self.stamp_ns if self._node.lockstep else self._node.now_ns()
        self._out.publish(convert.pose_message(target, ns, "base"))
        return Sent(target)

    def hold(self) -> Sent:
        return self.command(self.read().tool)

    def _on_joints(self, message: JointState) -> None:
        self._joint_state = (convert.stamp_ns(message.header.stamp), *convert.joints(message, self._joints))
        self._on_state()

    def _on_pose(self, message: PoseStamped) -> None:
        self._pose = (convert.stamp_ns(message.header.stamp), convert.pose(message))
        self._on_state()

    def _on_wrench(self, message: WrenchStamped) -> None:
        f, t = message.wrench.force, message.wrench.torque
        self._wrench = np.array([f.x, f.y, f.z, t.x, t.y, t.z])
