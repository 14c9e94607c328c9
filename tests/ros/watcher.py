"""A node of the test's own: it hears what the arm is told and what the guard says, and may speak out of turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped
from o2o_msgs import msg as m
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState

from o2o_nodes import convert, qos


class Watcher:
    """with Watcher(domain) as watcher: watcher.until(lambda: watcher.targets, 10.0, "a target")"""

    def __init__(self, domain: int) -> None:
        self.targets: list[tuple[int, np.ndarray]] = []  # stamp_ns, position_m (3,) then quat_xyzw (4,)
        self.poses: list[tuple[int, np.ndarray]] = []
        self.executed: list[m.ExecutedAction] = []
        self.safety: list[m.SafetyState] = []
        self.events: list[m.EpisodeEvent] = []
        self.state_ns = 0
        self._domain = domain

    def __enter__(self) -> Watcher:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=self._domain)
        self.node = Node("watcher", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        hear = self.node.create_subscription
        hear(PoseStamped, "target_pose", lambda pose: self.targets.append(_numbers(pose)), qos.RECORD)
        hear(PoseStamped, "current_pose", lambda pose: self.poses.append(_numbers(pose)), qos.RECORD)
        hear(m.ExecutedAction, "executed_action", self.executed.append, qos.RECORD)
        hear(m.SafetyState, "safety_state", self.safety.append, qos.LATCHED)
        hear(m.EpisodeEvent, "episode", self.events.append, qos.RECORD)
        hear(JointState, "joint_states", self._on_state, qos.sensor_in(lockstep=False))
        self.action_out = self.node.create_publisher(m.Action, "action", qos.COMMAND)
        self.event_out = self.node.create_publisher(m.EpisodeEvent, "episode", qos.RECORD)
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def until(self, condition: Callable[[], Any], timeout_s: float, what: str) -> None:
        """Listen until the condition is true; AssertionError naming `what` once the time is over."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, f"{what}: not within {timeout_s} s"
            self._executor.spin_once(timeout_sec=0.05)

    def call(self, service: Any, name: str, request: Any, timeout_s: float = 30.0) -> Any:
        client = self.node.create_client(service, name)
        self.until(client.service_is_ready, timeout_s, f"service {name}")
        future = client.call_async(request)
        self.until(future.done, timeout_s, f"answer of {name}")
        self.node.destroy_client(client)
        return future.result()

    def _on_state(self, message: JointState) -> None:
        self.state_ns = convert.stamp_ns(message.header.stamp)


def _numbers(message: PoseStamped) -> tuple[int, np.ndarray]:
    pose = convert.pose(message)
    return convert.stamp_ns(message.header.stamp), np.concatenate([pose.position_m, pose.quat_xyzw])
