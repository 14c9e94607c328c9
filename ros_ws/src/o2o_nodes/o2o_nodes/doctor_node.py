"""The doctor's ears: listens to a robot's graph for some seconds, commands nothing, writes what it heard as JSON.

    python -m o2o_nodes.doctor_node FOLDER [--ros-args -r joint_states:=/franka/joint_states -r __ns:=/left]

FOLDER holds ask.json (o2o_robot.preflight.ask) and gets graph.json.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.utilities import remove_ros_args
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import String

from o2o_nodes import convert, qos
from o2o_nodes.doctor_parameters import parameters_of
from o2o_robot.config import as_mapping, build
from o2o_robot.errors import DataError, O2OError
from o2o_robot.jsonfile import read_json, write_json
from o2o_robot.preflight.ask import ANSWER, ASK, Ask
from o2o_robot.preflight.cameras import thumbnail
from o2o_robot.preflight.facts import Endpoint, GraphFacts, NodeParameters, NodeStatus, Picture, Stream
from o2o_robot.preflight.wanted import image_topic, info_topic

# as a sensor reader hears it, with room for a burst while this process was not run
EARS = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
SELF = "o2o_doctor"


@dataclass
class Heard:
    """One topic's messages: stamps, receipts and numbers as the middleware tells them, and the first's bytes."""

    name: str
    type: str
    topic: str
    stamps_ns: list[int] = field(default_factory=list)
    received_ns: list[int] = field(default_factory=list)
    sequence: list[int] = field(default_factory=list)
    frame_id: str = ""
    first: bytes = b""

    def forget_times(self) -> None:
        for times in (self.stamps_ns, self.received_ns, self.sequence):
            times.clear()


class DoctorNode(Node):
    """Reads headers out of the raw bytes: a kilohertz of states and a large image cost next to nothing that way."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(SELF, start_parameter_services=False)
        self._ask = ask
        self._ticks: list[tuple[int, int]] = []  # (of /clock, received), ns
        self._urdf = ""
        self._statuses: dict[str, tuple[DiagnosticStatus, float]] = {}  # and when it came, steady s
        self._heard = {one.name: Heard(one.name, one.type, one.listened_to) for one in ask.streams}
        for heard in self._heard.values():
            hear = self._hearer(heard)
            self.create_subscription(message_class(heard.type), heard.topic, hear, EARS, raw=True)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, EARS)
        self.create_subscription(Clock, "/clock", self._on_clock, EARS)
        self.create_subscription(String, "robot_description", self._on_urdf, qos.LATCHED)

    def have_all_spoken(self) -> bool:
        """Whether every topic that somebody offers has carried a message."""
        asked = {one.name: one.required for one in self._ask.streams}
        return all(h.first or not (asked[h.name] or self._offers(h.topic)) for h in self._heard.values())

    def begin(self) -> None:
        """Count from now on."""
        self._ticks.clear()
        for heard in self._heard.values():
            heard.forget_times()

    def graph(self, listened_s: float, nodes: tuple[NodeParameters, ...]) -> GraphFacts:
        """Everything heard since `begin`, and who is there now."""
        return GraphFacts(
            streams=tuple(self._stream(h, listened_s) for h in self._heard.values()),
            command=self._stream(Heard(self._ask.command, "", self._ask.command), listened_s),
            pictures=tuple(p for p in (self._picture(camera) for camera in self._ask.cameras) if p is not None),
            focal_px=self._focal_px(),
            joint_names=self._joint_names(),
            nodes=nodes,
            statuses=tuple(_status(*told, time.monotonic()) for told in self._statuses.values()),
            urdf=self._urdf,
            has_clock=bool(self._ticks),
            clock_rate=self._clock_rate(),
            versions=ros_versions(),
        )

    # --- what comes in -------------------------------------------------------------------------------------------
    def _hearer(self, heard: Heard) -> Callable[[bytes, Any], None]:
        """The middleware's own receipt counts: this process may come to a message late, and to topics out of order."""

        def hear(message: bytes, info: Any) -> None:
            stamp_ns, heard.frame_id = header(message)
            heard.stamps_ns.append(stamp_ns)
            heard.received_ns.append(info["received_timestamp"])
            heard.sequence.append(info["publication_sequence_number"] or 0)
            heard.first = heard.first or bytes(message)

        return hear

    def _on_clock(self, message: Clock, info: Any) -> None:
        self._ticks.append((convert.stamp_ns(message.clock), info["received_timestamp"]))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        now_s = time.monotonic()
        self._statuses |= {status.name: (status, now_s) for status in message.status}

    def _on_urdf(self, message: String) -> None:
        self._urdf = message.data

    # --- what is made of it --------------------------------------------------------------------------------------
    def _stream(self, heard: Heard, listened_s: float) -> Stream:
        topic = self.resolve_topic_name(heard.topic)
        publishers = self._offers(heard.topic)
        subscribers = [e for e in self.get_subscriptions_info_by_topic(topic) if e.node_name != SELF]
        types = {e.topic_type for e in publishers}
        return Stream(
            name=heard.name,
            topic=topic,
            type=types.pop() if len(types) == 1 else "",
            publishers=tuple(endpoint(e) for e in publishers),
            subscribers=tuple(endpoint(e) for e in subscribers),
            stamps_ns=tuple(heard.stamps_ns),
            receipts_ns=self._receipts_ns(heard),
            received_ns=tuple(heard.received_ns),
            sequence=tuple(heard.sequence) if all(heard.sequence) else (),
            frame_id=heard.frame_id,
            listened_s=listened_s,
        )

    def _receipts_ns(self, heard: Heard) -> tuple[int, ...]:
        """On the ROS clock: where there is a /clock, between its ticks, as it stands still from one to the next."""
        if not self._ticks:
            return tuple(heard.received_ns)
        ros_ns, wall_ns = np.array(self._ticks, np.int64).T
        since_ns = np.interp(np.array(heard.received_ns) - wall_ns[0], wall_ns - wall_ns[0], ros_ns - ros_ns[0])
        return tuple(int(ros_ns[0] + ns) for ns in since_ns)

    def _offers(self, name: str) -> list[Any]:
        return list(self.get_publishers_info_by_topic(self.resolve_topic_name(name)))

    def _picture(self, camera: str) -> Picture | None:
        first = self._heard[image_topic(camera)].first
        if not first:
            return None
        message = deserialize_message(first, Image)
        seen: tuple[float, ...] = ()
        with contextlib.suppress(DataError, ValueError):  # an encoding nobody reads, or bytes that are not its size
            seen = thumbnail(convert.image(message))
        return Picture(camera, message.width, message.height, message.encoding, len(message.data), seen)

    def _focal_px(self) -> dict[str, float]:
        firsts = {camera: self._heard[info_topic(camera)].first for camera in self._ask.cameras}
        return {camera: float(deserialize_message(b, CameraInfo).k[0]) for camera, b in firsts.items() if b}

    def _joint_names(self) -> tuple[str, ...]:
        first = self._heard["joint_states"].first if "joint_states" in self._heard else b""
        return tuple(deserialize_message(first, JointState).name) if first else ()

    def _clock_rate(self) -> float:
        if len(self._ticks) < 2:
            return 1.0
        (ros_0, wall_0), (ros_1, wall_1) = self._ticks[0], self._ticks[-1]
        return (ros_1 - ros_0) / max(wall_1 - wall_0, 1)


def header(message: bytes) -> tuple[int, str]:
    """(stamp in ns, frame_id) of a serialised message that begins with a std_msgs/Header (CDR: 4 bytes, then it)."""
    order = "<" if message[1] & 1 else ">"
    sec, nanosec, length = struct.unpack_from(order + "iII", message, 4)
    return sec * convert.NS + nanosec, bytes(message[16 : 16 + length]).rstrip(b"\0").decode("utf-8", "replace")


def _status(told: DiagnosticStatus, heard_s: float, now_s: float) -> NodeStatus:
    values = {value.key: value.value for value in told.values}
    return NodeStatus(told.name, told.level[0], told.message, told.hardware_id, values, now_s - heard_s)


def message_class(name: str) -> Any:
    package, _, message = name.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), message)


def endpoint(info: Any) -> Endpoint:
    node = f"{info.node_namespace.rstrip('/')}/{info.node_name}"
    return Endpoint(node, info.qos_profile.reliability == ReliabilityPolicy.RELIABLE)


def ros_versions() -> dict[str, str]:
    distro = os.environ.get("ROS_DISTRO", "")
    return {"rmw": rclpy.get_rmw_implementation_identifier(), **({"ros": distro} if distro else {})}


def listen(ask: Ask) -> GraphFacts:
    """Wait until the graph has spoken, listen, ask the nodes for their parameters."""
    node, executor = DoctorNode(ask), SingleThreadedExecutor()
    executor.add_node(node)

    def spin(is_enough: Callable[[], bool], most_s: float) -> bool:
        end_s = time.monotonic() + most_s
        while not is_enough():
            if time.monotonic() > end_s:
                return False
            executor.spin_once(timeout_sec=0.05)
        return True

    spin(node.have_all_spoken, ask.patience_s)
    node.begin()
    began_s = time.monotonic()
    spin(lambda: False, ask.seconds)
    listened_s = time.monotonic() - began_s
    facts = node.graph(listened_s, parameters_of(node, spin, but=SELF))
    executor.shutdown()
    node.destroy_node()
    return facts


def main() -> None:
    words = remove_ros_args(sys.argv)[1:]
    try:
        if len(words) != 1:
            raise DataError(f"doctor_node: give one folder that holds {ASK}, got {len(words)} words")
        folder = Path(words[0])
        ask = build(Ask, read_json(folder / ASK), where=ASK)
        rclpy.init()
        write_json(folder / ANSWER, as_mapping(listen(ask)))
        rclpy.shutdown()
    except O2OError as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
