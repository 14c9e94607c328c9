"""A node's status on /diagnostics, once a second: its signs of life, what it reads, and what troubles it."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.duration import Duration
from rclpy.qos import QoSProfile, ReliabilityPolicy

from o2o_robot.errors import ArmError, DataError, O2OError
from o2o_robot.vitals import Level, Status, Value, Vitals, judged, memory_mb, slow_callbacks

if TYPE_CHECKING:
    from o2o_nodes.node import HouseNode

TOPIC, PERIOD_S = "/diagnostics", 1.0
GOODBYE_S = 0.5
DIAGNOSTICS = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE)
ENDED = "ended in order"


class Diagnostics:
    """`tell` publishes one status of `node`; `end` the last one, from which others know that it did not die.

    vitals: what the node counts while it works; each status reads it and starts it anew.
    """

    def __init__(self, node: HouseNode, vitals: Vitals) -> None:
        self._node, self._vitals = node, vitals
        self._name = node.get_fully_qualified_name().lstrip("/")
        self._out = node.create_publisher(DiagnosticArray, TOPIC, DIAGNOSTICS)

    def tell(self) -> None:
        self._say(self._status())

    def end(self) -> None:
        """Say it, and stay until who listens has it: a publisher that goes at once takes its last word along."""
        self._say(Status(Level.STALE, ENDED, {}))
        self._out.wait_for_all_acked(Duration(seconds=GOODBYE_S))

    def _status(self) -> Status:
        node, vital = self._node, self._vitals.readings()
        own, troubles = self._own() if node.is_started else ({}, [])
        troubles += slow_callbacks(vital)
        level, message = judged(troubles, is_active=node.is_started)
        told = {**own, **vital, "memory_mb": memory_mb()}
        return Status(level, message, {key: str(value) for key, value in told.items()})

    def _own(self) -> tuple[dict[str, Value], list[str]]:
        """What the node adds. A fault in there is told, and no more: it must not bring down what holds the arm."""
        try:
            return self._node.readings(), self._node.trouble()
        except Exception as problem:
            return {}, [f"its own readings failed ({type(problem).__name__}: {problem}); report this"]

    def _say(self, status: Status) -> None:
        line = DiagnosticStatus(level=bytes([status.level]), name=self._name, message=status.message)
        line.hardware_id = str(self._node.get_parameter("hardware_id").value)
        line.values = [KeyValue(key=key, value=value) for key, value in status.values.items()]
        message = DiagnosticArray(status=[line])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._out.publish(message)


def counted(
    vitals: Vitals, callback: Callable[..., Any], heard: Callable[[], None], refused: Callable[[O2OError], None]
) -> Callable[..., Any]:
    """The callback, timed and counted; as it is where it wants more than the message, or is a coroutine.

    A DataError or ArmError of its is the message's fault and not the node's: it is told, and the message left out.
    """
    if inspect.iscoroutinefunction(callback) or not _takes_one(callback):
        return callback

    def hear(message: Any) -> None:
        heard()
        began_s = time.monotonic()
        try:
            callback(message)
        except (DataError, ArmError) as problem:
            refused(problem)
        vitals.worked(began_s)

    return hear


def timed(vitals: Vitals, callback: Callable[[], Any]) -> Callable[[], Any]:
    """A timer's callback, timed; a coroutine, and one that wants to know its timer, as it is."""
    if inspect.iscoroutinefunction(callback) or len(inspect.signature(callback).parameters):
        return callback

    def work() -> None:
        began_s = time.monotonic()
        callback()
        vitals.worked(began_s)

    return work


def _takes_one(callback: Callable[..., Any]) -> bool:
    """Whether rclpy would call it with the message alone."""
    try:
        inspect.signature(callback).bind(object())
    except (TypeError, ValueError):
        return False
    return True
