"""Bags as `ros2 bag record` writes them (by rosbags' writer), and messages to put into them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from twin_bags import STORE, header

from o2o_robot.data.bag import Bag
from o2o_robot.data.contract import Contract, resolve
from o2o_robot.data.ingest.streams import Recording

PLUGINS = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
Sent = tuple[str, str, int, Any]  # topic, type, receipt_ns, message


def make(kind: str, **fields: Any) -> Any:
    return STORE.types[kind](**fields)


def write_rosbag2(folder: Path, messages: list[Sent], *, storage: str = "mcap", mode: str = "none") -> Path:
    """A rosbag2 folder with its metadata.yaml."""
    writer = Writer(folder, version=9, storage_plugin=PLUGINS[storage])
    writer.set_compression(CompressionMode[mode.upper()], CompressionFormat.ZSTD)
    with writer:
        connections: dict[str, Any] = {}
        for topic, kind, receipt_ns, message in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], receipt_ns, STORE.serialize_cdr(message, kind))
    return folder


def write_db3(
    path: Path, messages: list[tuple[str, str, int, bytes]], *, distro: str | None = None, texts: dict | None = None
) -> Path:
    """A bare .db3 of (topic, type, receipt_ns, CDR), of Humble or older where texts is None: without definitions."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE topics (id INTEGER, name TEXT, type TEXT, serialization_format TEXT)")
        connection.execute("CREATE TABLE messages (id INTEGER, topic_id INTEGER, timestamp INTEGER, data BLOB)")
        if distro is not None:
            connection.execute("CREATE TABLE schema (schema_version INTEGER, ros_distro TEXT)")
            connection.execute("INSERT INTO schema VALUES (3, ?)", (distro,))
        if texts is not None:
            connection.execute(
                "CREATE TABLE message_definitions (topic_type TEXT, encoding TEXT, encoded_message_definition TEXT)"
            )
            for kind, text in texts.items():
                connection.execute("INSERT INTO message_definitions VALUES (?, 'ros2msg', ?)", (kind, text))
        ids: dict[str, int] = {}
        for number, (topic, kind, receipt_ns, cdr) in enumerate(messages):
            if topic not in ids:
                ids[topic] = len(ids) + 1
                connection.execute("INSERT INTO topics VALUES (?, ?, ?, 'cdr')", (ids[topic], topic, kind))
            connection.execute("INSERT INTO messages VALUES (?, ?, ?, ?)", (number, ids[topic], receipt_ns, cdr))
    return path


def cdr(message: Any, kind: str) -> bytes:
    return bytes(STORE.serialize_cdr(message, kind))


def joy(stamp_ns: int, buttons: list[int], axes: tuple[float, ...] = ()) -> Any:
    return make(
        "sensor_msgs/msg/Joy", header=header(stamp_ns), axes=np.array(axes, np.float32),
        buttons=np.array(buttons, np.int32),
    )  # fmt: skip


def pose(position: tuple[float, ...], quat_xyzw: tuple[float, ...]) -> Any:
    return make(
        "geometry_msgs/msg/Pose",
        position=make("geometry_msgs/msg/Point", **dict(zip("xyz", map(float, position), strict=True))),
        orientation=make("geometry_msgs/msg/Quaternion", **dict(zip("xyzw", map(float, quat_xyzw), strict=True))),
    )


def pose_stamped(stamp_ns: int, position: tuple[float, ...], quat_xyzw: tuple[float, ...]) -> Any:
    return make("geometry_msgs/msg/PoseStamped", header=header(stamp_ns), pose=pose(position, quat_xyzw))


def recorded(path: Path, contract: Contract) -> tuple[Recording, dict[str, str]]:
    """The recording with the contract's topics loaded, and contract topic -> topic of the bag."""
    bag = Bag.open(path)
    names = resolve(contract, bag.topics())
    return Recording.load(bag, names.values()), names
