"""A robot of topics alone, and what can be wrong with one: joints, pose, a camera, somebody who commands."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import String

from o2o_nodes import convert, qos

STATE_HZ, CAMERA_HZ = 100.0, 30.0
STEADY = Clock(clock_type=ClockType.STEADY_TIME)
NAMES = tuple(f"fr3_joint{i}" for i in range(1, 8))


@dataclass
class FakeRobot:
    """with FakeRobot(domain, ahead_s=1.0): ...      # its messages come from the future

    rogue: a second node commands; drop: of every so many frames the camera loses one; urdf: how it describes itself.
    Stamps keep the rhythm whatever the machine does: a timer that is served late leaves no gap.
    """

    domain: int
    joints: tuple[str, ...] = NAMES
    cameras: tuple[str, ...] = ("wrist",)
    ahead_s: float = 0.0
    rogue: bool = False
    drop: int = 0
    backward: bool = False
    sim_time: bool = False
    frame_of: dict[str, str] = field(default_factory=dict)
    urdf: str = ""

    def __enter__(self) -> FakeRobot:
        self._context, self._states_sent, self._frames = Context(), 0, 0
        self._start_ns = Clock(clock_type=ClockType.SYSTEM_TIME).now().nanoseconds
        rclpy.init(context=self._context, domain_id=self.domain)
        self._executor = SingleThreadedExecutor(context=self._context)
        self.driver, self.arm = (
            self._node("driver"),
            self._node("arm_node", auto_arm=False, lockstep=False, limits="fr3"),
        )
        self._node("joint_trajectory_controller", cmd_timeout=0.0)
        self._states = self.driver.create_publisher(JointState, "joint_states", qos.SENSOR_OUT)
        self._poses = self.driver.create_publisher(PoseStamped, "current_pose", qos.SENSOR_OUT)
        self._images = [self.driver.create_publisher(Image, f"{c}/color/image_raw", 5) for c in self.cameras]
        self._infos = [self.driver.create_publisher(CameraInfo, f"{c}/color/camera_info", 5) for c in self.cameras]
        self.driver.create_subscription(PoseStamped, "target_pose", lambda _: None, qos.COMMAND)
        self.arm.create_publisher(PoseStamped, "target_pose", qos.COMMAND)
        if self.rogue:
            self._node("rogue").create_publisher(PoseStamped, "target_pose", qos.COMMAND)
        if self.urdf:
            self.driver.create_publisher(String, "robot_description", qos.LATCHED).publish(String(data=self.urdf))
        self.driver.create_timer(1.0 / STATE_HZ, self._feel, clock=STEADY)
        self.driver.create_timer(1.0 / CAMERA_HZ, self._look, clock=STEADY)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self._thread.join(5.0)
        rclpy.shutdown(context=self._context)

    def _node(self, name: str, **parameters: Any) -> Node:
        node = Node(name, context=self._context)
        node.set_parameters([Parameter("use_sim_time", value=self.sim_time)])
        for key, value in parameters.items():
            node.declare_parameter(key, value)
        self._executor.add_node(node)
        return node

    def _stamp_ns(self, count: int, hz: float) -> int:
        return self._start_ns + round((count / hz + self.ahead_s) * 1e9)

    def _feel(self) -> None:
        ns, self._states_sent = self._stamp_ns(self._states_sent, STATE_HZ), self._states_sent + 1
        if self.backward and self._states_sent % 20 == 0:
            ns -= 100_000_000
        state = JointState(name=list(self.joints), position=[0.0] * len(self.joints))
        pose = PoseStamped()
        state.header.stamp = pose.header.stamp = convert.stamp(ns)
        self._states.publish(state)
        self._poses.publish(pose)

    def _look(self) -> None:
        ns, self._frames = self._stamp_ns(self._frames, CAMERA_HZ), self._frames + 1
        if self.drop and self._frames % self.drop == 0:
            return
        for i, camera in enumerate(self.cameras):
            pixels = np.random.default_rng(i).integers(0, 255, (48, 64, 3), np.uint8)
            frame = self.frame_of.get(camera, f"{camera}_color_optical_frame")
            info = CameraInfo(k=[500.0, 0.0, 32.0, 0.0, 500.0, 24.0, 0.0, 0.0, 1.0])
            info.header.stamp = convert.stamp(ns)
            self._images[i].publish(convert.image_message(pixels, ns, frame))
            self._infos[i].publish(info)
