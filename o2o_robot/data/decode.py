"""CDR bytes to messages, numbers and pixels (bags/message_types.py, field_path.py, pictures.py)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from o2o_robot.data.bags import field_path
from o2o_robot.data.bags.field_path import kind
from o2o_robot.data.bags.foreign import as_ros_defines, one_line
from o2o_robot.data.bags.mcap_file import Topic
from o2o_robot.data.bags.message_types import typestore
from o2o_robot.data.bags.pictures import picture
from o2o_robot.errors import DataError
from o2o_robot.types import Array

__all__ = ["Types", "header_stamp_ns", "numbers", "picture", "text"]

_HEADER_FIRST = "std_msgs/msg/Header"
_WHOLE = (("position", "orientation"), ("linear", "angular"), ("force", "torque"), ("translation", "rotation"))


class Types:
    """Message types of one recording, of the topics that are wanted. Raises DataError where one is not to be had."""

    def __init__(self, topics: Mapping[str, Topic]) -> None:
        self._topics = dict(topics)
        for topic in topics.values():
            if topic.encoding != "cdr":
                raise DataError(f"topic {topic.name} is encoded as '{topic.encoding}', only cdr is read")
        self._store = typestore(topics.values())

    def has_header(self, topic: str) -> bool:
        """True where the messages of a topic begin with a std_msgs/Header."""
        _, fields = self._store.fielddefs[self._topics[topic].type_name]
        return bool(fields) and fields[0][1][1] == _HEADER_FIRST

    def fields(self, type_name: str) -> tuple[str, ...]:
        """The field names of a type that a topic has, or is made of; none where the type is not known."""
        return tuple(name for name, _ in self._store.fielddefs.get(type_name, ((), ()))[1])

    def message(self, topic: str, data: bytes) -> Any:
        """The message in `data`. Raises DataError where the bytes are not one of the topic's type."""
        type_name = self._topics[topic].type_name
        try:
            return self._store.deserialize_cdr(data, type_name)
        except Exception as problem:  # generated code over foreign bytes: any kind of error means the same
            raise DataError(f"a message of {topic} is not a {type_name} ({one_line(problem)})") from None


def header_stamp_ns(data: bytes) -> int:
    """The stamp of a message that begins with a std_msgs/Header, not decoding the rest. Raises DataError if short."""
    if len(data) < 12:
        raise DataError(f"a message of {len(data)} bytes is too short for a header")
    sec, nanosec = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return int(sec) * 1_000_000_000 + int(nanosec)


def numbers(message: Any, field: str, joints: tuple[str, ...] = (), default: float | None = None) -> Array:
    """Field `field` (a path, data/bags/field_path.py) as float32 (k,); joints by name, in order.

    A vector or quaternion gives x, y, z, w in that order; a pose or transform 7 numbers, position first; a twist 6,
    linear first; a wrench 6, force first.
    default stands for joints that are not in the message, where it is given (see contract.StateField).
    Raises DataError naming the field or joint that is not there, or a value that is not finite.
    """
    value = field_path.follow(message, field)
    try:
        with np.errstate(over="ignore"):  # beyond float32 is not finite, which is refused below
            vector = np.atleast_1d(np.asarray(_plain(value), np.float32))
    except (TypeError, ValueError):
        raise DataError(f"field '{field}' of {kind(message)} is not made of numbers{_hint(value)}") from None
    if joints:
        with as_ros_defines(kind(message)):
            vector = _by_name(vector, _joint_names(message), field, joints, default)
    if vector.ndim != 1 or not len(vector) or not np.isfinite(vector).all():
        raise DataError(f"field '{field}' of {kind(message)} is empty or not finite")
    return vector


def text(message: Any, field: str) -> str:
    """The single value of field `field` as text: `true`, `3`, `0.5`, `done`. Raises DataError where it is none."""
    value = field_path.follow(message, field)
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, int | float | str):
        raise DataError(f"field '{field}' of {kind(message)} is not a single value{_hint(value)}")
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    """Numbers of a geometry message in their usual order; anything else as it is."""
    if isinstance(value, str):
        raise TypeError("text")  # "1.5" would pass for a number
    if hasattr(value, "x"):
        return [getattr(value, axis) for axis in "xyzw" if hasattr(value, axis)]
    for parts in _WHOLE:
        if all(hasattr(value, part) for part in parts):
            return [number for part in parts for number in _plain(getattr(value, part))]
    return value


def _hint(value: Any) -> str:
    names = [name for name in getattr(value, "__dataclass_fields__", ()) if not name.startswith("__")]
    return f"; it has {', '.join(names)}" if names else ""


def _joint_names(message: Any) -> list[str]:
    """The names of JointState and DynamicJointState-like messages (`name`), or of trajectories (`joint_names`)."""
    for field in ("name", "joint_names"):
        names = getattr(message, field, None)
        if isinstance(names, list):
            return names
    raise DataError(f"joints are asked for by name, but a {kind(message)} names none; leave `joints` out")


def _by_name(vector: Array, names: list[str], field: str, joints: tuple[str, ...], default: float | None) -> Array:
    if default is not None:
        held = dict(zip(names, vector, strict=False))
        return np.array([held.get(joint, default) for joint in joints], np.float32)
    if len(names) != len(vector):
        raise DataError(
            f"joints are asked for by name, but a message has {len(names)} names for {len(vector)} of '{field}'; "
            "leave `joints` out of the contract to take them by position"
        )
    missing = [joint for joint in joints if joint not in names]
    if missing:
        raise DataError(f"joints {', '.join(missing)} are not in the message (it has {', '.join(names)})")
    return vector[[names.index(joint) for joint in joints]]
