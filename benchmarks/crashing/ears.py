"""A process outside the graph that hears what the arm is told, where it is, and how episodes go."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped
from o2o_msgs import msg as m
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from o2o_nodes import convert, qos


class Told(NamedTuple):
    """A pose on a topic: when it was sent and when it arrived (wall clock, ns), its stamp (ns), and position_m (3,)."""

    sent_ns: int
    heard_ns: int
    stamp_ns: int
    position_m: np.ndarray


class Ears:
    """with Ears(domain) as ears: ears.until(lambda: ears.targets, 10.0)

    Times are the sender's: how late this process hears does not count.
    """

    def __init__(self, domain: int) -> None:
        self.targets: list[Told] = []
        self.poses: list[Told] = []
        self.actions_ns: list[int] = []  # stamps of the observations that they answer
        self.acted_ns: list[int] = []  # when they were sent
        self.events: list[m.EpisodeEvent] = []
        self.safety: list[tuple[int, m.SafetyState]] = []
        self._reset_s = -1e9
        self._clients: dict[str, Any] = {}
        self._domain = domain

    def __enter__(self) -> Ears:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=self._domain)
        self.node = Node("crash_ears", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        hear = self.node.create_subscription
        hear(PoseStamped, "target_pose", lambda pose, info: self.targets.append(_told(pose, info)), qos.RECORD)
        hear(PoseStamped, "current_pose", lambda pose, info: self.poses.append(_told(pose, info)), qos.RECORD)
        hear(m.Action, "action", self._on_action, qos.RECORD)
        hear(m.EpisodeEvent, "episode", self.events.append, qos.RECORD)
        every_word = qos.VERDICT_RECORD  # with room for one, the hold would be missed for what is said after it
        hear(m.SafetyState, "safety_state", self._on_safety, every_word)
        self._resetting = self.node.create_client(Trigger, "arm_node/reset")
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def until(self, condition: Callable[[], Any], timeout_s: float, meanwhile: Callable[[], Any] = bool) -> bool:
        """Listen until the condition is true: whether it became so in time. meanwhile: done after each message."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline_s:
                return False
            meanwhile()
            self._executor.spin_once(timeout_sec=0.05)
        return True

    def listen(self, seconds: float) -> None:
        self.until(lambda: False, seconds)

    def call(self, service: str, timeout_s: float) -> bool:
        """Whether a Trigger service answered. Its client is kept: discovery takes longer than the answer."""
        if service not in self._clients:
            self._clients[service] = self.node.create_client(Trigger, service)
        if not self.until(self._clients[service].service_is_ready, timeout_s):
            return False
        return self.until(self._clients[service].call_async(Trigger.Request()).done, timeout_s)

    def reset_guard(self) -> None:
        """Ask for it, at most once in two seconds; nobody waits for the answer."""
        if self._resetting.service_is_ready() and time.monotonic() - self._reset_s > 2.0:
            self._reset_s = time.monotonic()
            self._resetting.call_async(Trigger.Request())

    def guard_state(self) -> str:
        return str(self.safety[-1][1].state) if self.safety else "silent"

    def starts_ns(self) -> list[int]:
        """Stamp of the first observation of each episode heard."""
        return [_stamp_ns(event) for event in self.events if event.kind == event.START]

    def steps_in_the_open_episode(self) -> int:
        """Actions heard since the latest START; -1 where that episode has ended, or none was heard."""
        starts = self.starts_ns()
        if not starts or self.events[-1].kind == m.EpisodeEvent.END:
            return -1
        return sum(stamp >= starts[-1] for stamp in self.actions_ns)

    def _on_action(self, action: m.Action, info: Any) -> None:
        self.actions_ns.append(_stamp_ns(action))
        self.acted_ns.append(_sent_ns(info))

    def _on_safety(self, message: m.SafetyState, info: Any) -> None:
        self.safety.append((_sent_ns(info), message))


def _told(message: PoseStamped, info: Any) -> Told:
    heard_ns = int(info["received_timestamp"])
    return Told(_sent_ns(info), heard_ns, _stamp_ns(message), convert.pose(message).position_m)


def _sent_ns(info: Any) -> int:
    return int(info["source_timestamp"])


def _stamp_ns(message: Any) -> int:
    return convert.stamp_ns(message.header.stamp)
