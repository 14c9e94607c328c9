"""A client that uses an arm as crisp_py does (github.com/utiasDSL/crisp_py, behaviour read at 1809015).

It subscribes with the sensor QoS and publishes with the system default, takes its first targets from the first pose and
joints it hears, and then says both, 50 times a second, whichever controller is active. Frame of the targets: `base`.
"""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data, qos_profile_system_default
from sensor_msgs.msg import JointState

from o2o_nodes import convert
from o2o_robot.types import Pose

PUBLISH_HZ = 50.0


class CrispClient:
    def __init__(self, node: Node, joints: list[str]) -> None:
        self._node, self._joints = node, joints
        self.reset_targets()
        node.create_subscription(PoseStamped, "current_pose", self._on_pose, qos_profile_sensor_data)
        node.create_subscription(JointState, "joint_states", self._on_joints, qos_profile_sensor_data)
        self._pose_out = node.create_publisher(PoseStamped, "target_pose", qos_profile_system_default)
        self._joint_out = node.create_publisher(JointState, "target_joint", qos_profile_system_default)
        self._timer = node.create_timer(1.0 / PUBLISH_HZ, self._publish)

    def is_ready(self) -> bool:
        return self._target is not None and self._target_q_rad is not None

    def reset_targets(self) -> None:
        self._target: Pose | None = None
        self._target_q_rad: np.ndarray | None = None

    def set_target(self, position_m: np.ndarray) -> None:
        assert self._target is not None
        self._target = Pose(position_m, self._target.quat_xyzw)

    def set_target_joint(self, q_rad: np.ndarray) -> None:
        self._target_q_rad = q_rad

    def close(self) -> None:
        self._node.destroy_timer(self._timer)

    def _on_pose(self, message: PoseStamped) -> None:
        self.pose = convert.pose(message)
        self._target = self._target or self.pose

    def _on_joints(self, message: JointState) -> None:
        self.q_rad = np.zeros(len(self._joints))
        for name, position in zip(message.name, message.position, strict=False):
            if name in self._joints:
                self.q_rad[self._joints.index(name)] = position
        if self._target_q_rad is None:
            self._target_q_rad = self.q_rad.copy()

    def _publish(self) -> None:
        stamp = self._node.get_clock().now().to_msg()
        if self._target is not None:
            message = convert.pose_message(self._target, 0, "base")
            message.header.stamp = stamp
            self._pose_out.publish(message)
        if self._target_q_rad is not None:
            joints = JointState(name=self._joints, position=self._target_q_rad.tolist())
            joints.header.stamp, joints.header.frame_id = stamp, "base"
            joints.velocity = joints.effort = [0.0] * len(self._joints)
            self._joint_out.publish(joints)
