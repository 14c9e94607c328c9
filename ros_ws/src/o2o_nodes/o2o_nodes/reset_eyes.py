"""What reset_node sees: the arm at each instant, and the newest picture of each camera."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import PoseStamped, WrenchStamped
from rclpy.task import Future
from sensor_msgs.msg import Image, JointState

from o2o_nodes import arm_messages, checks, convert, qos
from o2o_nodes.node import HouseNode
from o2o_robot.errors import ArmError
from o2o_robot.robot.rotation import matrix_from_quat
from o2o_robot.types import ArmState, Array, Pose


class ResetEyes:
    """state = await eyes.after(ns, timeout_s): the first whole state newer than `ns`, None where none comes.

    images = await eyes.look(ns, timeout_s): every camera's picture from `ns` on, and which cameras were silent.
    """

    def __init__(self, node: HouseNode) -> None:
        self._node, setting = node, node.setting
        self._joints = setting("joints", [f"fr3_joint{i}" for i in range(1, 8)], "joint names, in the order of angles")
        cameras = setting("cameras", ["wrist", "front"], "cameras whose view is compared")
        self._cameras = [name for name in cameras if name]
        topic = setting("image_topic", "color/image_raw", "a camera's pictures; of camera_node image_policy")
        self._grips = setting("gripper_states", "", "JointState of a gripper's opening; empty: none is read")
        self._finger = setting("gripper_joint", "fr3_finger_joint1", "name in it whose position is the opening")
        force = setting("external_wrench", "", "WrenchStamped at the tool, for backing off; empty: none is read")
        self._force_in_base = setting("wrench_frame", "base", "base, or tool for a sensor that turns with it") == "base"
        self._moved: tuple[int, Array, Array] | None = None
        self._pose: tuple[int, Pose] | None = None
        self._wrench: Array | None = None
        self._opening_m = 0.0
        self._pictures: dict[str, Image] = {}
        self._waits: list[tuple[int, Future]] = []
        hear, profile = node.create_subscription, qos.sensor_in(lockstep=node.lockstep)
        hear(JointState, "joint_states", self._on_joints, profile)
        hear(PoseStamped, "current_pose", self._on_pose, profile)
        if self._grips:
            hear(JointState, self._grips, self._on_grip, profile)
        if force:
            hear(WrenchStamped, force, self._on_wrench, profile)
        for name in self._cameras:
            hear(Image, f"{name}/{topic}", lambda message, name=name: self._pictures.update({name: message}), profile)

    @property
    def stamp_ns(self) -> int:
        """Of the newest whole state; 0 before the first."""
        return min(self._moved[0], self._pose[0]) if self._moved and self._pose else 0

    @property
    def state(self) -> ArmState:
        """Raises ArmError before the first whole one."""
        if self._moved is None or self._pose is None:
            raise ArmError("nothing was heard of the arm yet; is the driver, or twin_node, running?")
        _, q_rad, dq_rad = self._moved
        return ArmState(self.stamp_ns, q_rad, dq_rad, self._pose[1], self._opening_m, self._wrench_in_base())

    @property
    def images(self) -> dict[str, Array]:
        """The newest picture of each camera that has shown one, (H, W, 3) uint8. Raises DataError for a broken one."""
        return {name: convert.image(message) for name, message in self._pictures.items()}

    async def after(self, ns: int, timeout_s: float) -> ArmState | None:
        if self.stamp_ns <= ns:
            future = Future(executor=self._node.executor)
            self._waits.append((ns, future))
            await self._node.wait(future, timeout_s)
        return self.state if self.stamp_ns > ns else None

    async def look(self, ns: int, timeout_s: float) -> list[str]:
        """The cameras that have shown nothing taken at `ns` or later, within that wall time: none where all is well."""
        await self._node.wait_until(lambda: not self._silent(ns), timeout_s)
        return self._silent(ns)

    def _silent(self, ns: int) -> list[str]:
        stamps = {name: convert.stamp_ns(message.header.stamp) for name, message in self._pictures.items()}
        return [name for name in self._cameras if stamps.get(name, -1) < ns]

    def _wrench_in_base(self) -> Array | None:
        if self._wrench is None or self._pose is None or self._force_in_base:
            return self._wrench
        R_base_tool = matrix_from_quat(self._pose[1].quat_xyzw)
        return np.concatenate([R_base_tool @ self._wrench[:3], R_base_tool @ self._wrench[3:]])

    # --- what is heard -------------------------------------------------------------------------------------------
    def _on_joints(self, message: JointState) -> None:
        if message.name and not set(self._joints) & set(message.name):
            return  # of a gripper that shares the topic
        checks.sound(message)
        self._moved = (convert.stamp_ns(message.header.stamp), *convert.joints(message, self._joints))
        self._wake()

    def _on_pose(self, message: PoseStamped) -> None:
        checks.sound(message)
        self._pose = (convert.stamp_ns(message.header.stamp), convert.pose(message))
        self._wake()

    def _on_grip(self, message: JointState) -> None:
        checks.sound(message)
        self._opening_m = float(convert.joints(message, [self._finger])[0][0])

    def _on_wrench(self, message: WrenchStamped) -> None:
        wrench = arm_messages.wrench(message)
        self._wrench = wrench if np.isfinite(wrench).all() else None

    def _wake(self) -> None:
        due = [future for ns, future in self._waits if ns < self.stamp_ns]
        self._waits = [(ns, future) for ns, future in self._waits if ns >= self.stamp_ns and not future.done()]
        for future in due:
            if not future.done():
                future.set_result(True)
