"""CDR bytes to messages, numbers and pixels. The one file that knows rosbags' type system and OpenCV."""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from o2o_robot.data.mcap_file import Topic
from o2o_robot.errors import DataError
from o2o_robot.types import Array

MAX_PIXELS = 100_000_000
_MAX_DEFINITION_BYTES = 1 << 18
_HEADER_FIRST = "std_msgs/msg/Header"
_RAW_CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1, "8UC1": 1, "8UC3": 3}


class Types:
    """Message types of one recording: ROS 2's own, and what the recording defines for the topics that are wanted."""

    def __init__(self, topics: Mapping[str, Topic]) -> None:
        self._topics = dict(topics)
        foreign = frozenset((t.type_name, t.definition, t.definition_format) for t in topics.values())
        self._store = _typestore(foreign)
        for topic in topics.values():
            if topic.encoding != "cdr":
                raise DataError(f"topic {topic.name} is encoded as '{topic.encoding}', only cdr is read")
            if topic.type_name not in self._store.fielddefs:
                raise DataError(f"topic {topic.name}: the recording does not define its type {topic.type_name}")

    def has_header(self, topic: str) -> bool:
        """True where the messages of a topic begin with a std_msgs/Header."""
        _, fields = self._store.fielddefs[self._topics[topic].type_name]
        return bool(fields) and fields[0][1][1] == _HEADER_FIRST

    def message(self, topic: str, data: bytes) -> Any:
        """The message in `data`. Raises DataError where the bytes are not one of the topic's type."""
        type_name = self._topics[topic].type_name
        try:
            return self._store.deserialize_cdr(data, type_name)
        except Exception as problem:  # generated code over foreign bytes: any kind of error means the same
            raise DataError(
                f"a message of {topic} is not a {type_name} ({type(problem).__name__}: {problem})"
            ) from None


def header_stamp_ns(data: bytes) -> int:
    """The stamp of a message that begins with a std_msgs/Header, not decoding the rest. Raises DataError if short."""
    if len(data) < 12:
        raise DataError(f"a message of {len(data)} bytes is too short for a header")
    sec, nanosec = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return int(sec) * 1_000_000_000 + int(nanosec)


def numbers(message: Any, field: str, joints: tuple[str, ...] = (), default: float | None = None) -> Array:
    """Field `field` (a dotted path) as float32 (k,); x, y, z, w of a vector in that order; joints by name, in order.

    default stands for joints that are not in the message, where it is given (see contract.StateField).
    Raises DataError naming the field or joint that is not there, or a value that is not finite.
    """
    value: Any = message
    for part in field.split("."):
        if not hasattr(value, part):
            raise DataError(f"{_kind(message)} has no field '{field}'")
        value = getattr(value, part)
    if hasattr(value, "x"):
        value = [getattr(value, axis) for axis in "xyzw" if hasattr(value, axis)]
    try:
        vector = np.atleast_1d(np.asarray(value, np.float32))
    except (TypeError, ValueError):
        raise DataError(f"field '{field}' of {_kind(message)} is not made of numbers") from None
    if joints:
        vector = _by_name(vector, list(message.name), field, joints, default)
    if vector.ndim != 1 or not len(vector) or not np.isfinite(vector).all():
        raise DataError(f"field '{field}' of {_kind(message)} is empty or not finite")
    return vector


def picture(message: Any, side: int) -> Array:
    """An Image or CompressedImage as RGB uint8 (side, side, 3), averaged over each pixel's area when it shrinks."""
    import cv2

    rgb = _compressed(message) if hasattr(message, "format") else _raw(message)
    if rgb.shape[:2] == (side, side):
        return np.ascontiguousarray(rgb)
    shrinks = side < min(rgb.shape[:2])
    return cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _raw(message: Any) -> Array:
    n_channels = _RAW_CHANNELS.get(message.encoding)
    if n_channels is None:
        raise DataError(f"image encoding '{message.encoding}' is not read (known: {', '.join(_RAW_CHANNELS)})")
    height, width, step = int(message.height), int(message.width), int(message.step)
    if not height or width * n_channels > step or step * height != len(message.data):
        raise DataError(
            f"an image of {width}x{height} {message.encoding}, {step} bytes a row, has {len(message.data)} bytes"
        )
    rows = np.asarray(message.data, np.uint8).reshape(height, step)[:, : width * n_channels]
    pixels = rows.reshape(height, width, n_channels)
    if n_channels == 1:
        return np.repeat(pixels, 3, axis=2)
    return pixels[:, :, 2::-1] if message.encoding.startswith("bgr") or message.encoding == "8UC3" else pixels[:, :, :3]


def _compressed(message: Any) -> Array:
    import cv2

    data = np.asarray(message.data, np.uint8)
    width, height = _stated_size(data.tobytes())
    if not width * height:
        raise DataError(f"a compressed image ('{message.format}', {len(data)} bytes) is not JPEG or PNG")
    if width * height > MAX_PIXELS:
        raise DataError(f"a compressed image claims {width}x{height} pixels, more than {MAX_PIXELS}")
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if bgr is None:
        raise DataError(f"a compressed image ('{message.format}', {len(data)} bytes) cannot be decoded")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _stated_size(data: bytes) -> tuple[int, int]:
    """Width and height that a PNG or JPEG states, before anything is unpacked; (0, 0) where it is neither."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    at = 2 if data.startswith(b"\xff\xd8") else len(data)
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header, ITU-T T.81 table B.1
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        has_length = marker not in (0x01, 0xFF, *range(0xD0, 0xD8))
        at += 2 + struct.unpack_from(">H", data, at + 2)[0] if has_length else 1 if marker == 0xFF else 2
    return 0, 0


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


def _kind(message: Any) -> str:
    return str(getattr(message, "__msgtype__", type(message).__name__))


@functools.lru_cache(maxsize=8)
def _typestore(foreign: frozenset[tuple[str, str, str]]) -> Any:
    from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

    store = get_typestore(Stores.LATEST)
    for type_name, definition, form in sorted(foreign):
        if type_name in store.fielddefs or not definition or len(definition) > _MAX_DEFINITION_BYTES:
            continue
        try:
            is_idl = form.endswith("idl")
            types = get_types_from_idl(definition) if is_idl else get_types_from_msg(definition, type_name)
            store.register({name: body for name, body in types.items() if name not in store.fielddefs})
        except Exception as problem:  # a parser over foreign text: any kind of error means the same
            raise DataError(
                f"the definition of {type_name} cannot be read ({type(problem).__name__}: {problem})"
            ) from None
    return store
