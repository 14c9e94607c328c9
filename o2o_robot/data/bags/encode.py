"""Numbers and pictures to ROS messages as CDR bytes: decode.py the other way round."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.errors import DataError
from o2o_robot.types import Array

FRAME = "base"  # poses are given in the arm's base frame


class Encoded(NamedTuple):
    """A message: its type as package/msg/Name, and its CDR bytes."""

    type_name: str
    data: bytes


def definition(type_name: str) -> str:
    """The full ros2msg text of a ROS 2 type, everything it is made of included."""
    return str(_store().generate_msgdef(type_name, ros_version=2)[0])


def numbers(name: str, values: Array) -> Encoded:
    """std_msgs/Float64MultiArray of values (k,); its one dimension is labelled with their name."""
    dimension = _make("std_msgs/msg/MultiArrayDimension", label=name, size=len(values), stride=len(values))
    layout = _make("std_msgs/msg/MultiArrayLayout", dim=[dimension], data_offset=0)
    return _encoded("std_msgs/msg/Float64MultiArray", layout=layout, data=np.asarray(values, np.float64))


def number(value: float) -> Encoded:
    """std_msgs/Float64."""
    return _encoded("std_msgs/msg/Float64", data=float(value))


def text(words: str) -> Encoded:
    """std_msgs/String."""
    return _encoded("std_msgs/msg/String", data=words)


def joints(stamp_ns: int, q_rad: Array, dq_rad: Array) -> Encoded:
    """sensor_msgs/JointState of joint_1 ... joint_n: q_rad (n,), and dq_rad where it is (n,) too."""
    known = len(dq_rad) == len(q_rad)
    return _encoded(
        "sensor_msgs/msg/JointState",
        header=_header(stamp_ns),
        name=[f"joint_{i + 1}" for i in range(len(q_rad))],
        position=np.asarray(q_rad, np.float64),
        velocity=np.asarray(dq_rad if known else (), np.float64),
        effort=np.zeros(0, np.float64),
    )


def pose(stamp_ns: int, position_m: Array, quat_xyzw: Array) -> Encoded:
    """geometry_msgs/PoseStamped in the base frame."""
    point = _make("geometry_msgs/msg/Point", **_named("xyz", position_m))
    turn = _make("geometry_msgs/msg/Quaternion", **_named("xyzw", quat_xyzw))
    place = _make("geometry_msgs/msg/Pose", position=point, orientation=turn)
    return _encoded("geometry_msgs/msg/PoseStamped", header=_header(stamp_ns), pose=place)


def picture(stamp_ns: int, camera: str, rgb: Array) -> Encoded:
    """sensor_msgs/CompressedImage of rgb (H, W, 3) uint8 as lossless PNG, in the frame of the camera's name."""
    data = np.frombuffer(png(rgb), np.uint8)
    header = _header(stamp_ns, camera)
    return _encoded("sensor_msgs/msg/CompressedImage", header=header, format="png", data=data)


def png(rgb: Array) -> bytes:
    """A picture (H, W, 3) uint8 as PNG."""
    import cv2

    is_done, data = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    if not is_done:
        raise DataError(f"a picture of shape {rgb.shape} cannot be made a PNG")
    return bytes(data)


def _header(stamp_ns: int, frame: str = FRAME) -> Any:
    sec, nanosec = divmod(int(stamp_ns), 10**9)
    time = _make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
    return _make("std_msgs/msg/Header", stamp=time, frame_id=frame)


def _named(axes: str, values: Array) -> Mapping[str, float]:
    return {axis: float(value) for axis, value in zip(axes, values, strict=True)}


def _encoded(type_name: str, **fields: Any) -> Encoded:
    return Encoded(type_name, bytes(_store().serialize_cdr(_make(type_name, **fields), type_name)))


def _make(type_name: str, **fields: Any) -> Any:
    return _store().types[type_name](**fields)


@functools.cache
def _store() -> Any:
    try:
        from rosbags.typesys import Stores, get_typestore
    except ModuleNotFoundError:
        raise DataError("rosbags is not installed, which knows ROS messages; pip install 'o2o_robot[bags]'") from None
    return get_typestore(Stores.LATEST)
