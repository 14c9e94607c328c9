"""A bag of the twin's joint, commanded and measured, and of a camera that it shakes before a textured wall."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from o2o_calibration.delay import Signal
from o2o_calibration.joint_response import JointDrive

STORE = get_typestore(Stores.ROS2_JAZZY)
START_NS = 1_700_000_000_000_000_000
PX_PER_RAD = 200.0


def shaken_bag(folder: Path, joint: str, parameters: Mapping[str, float], *, camera_late_s: float) -> Path:
    """Nine seconds: /target_joint, /joint_states (100 Hz) and /wrist/color/image_raw (30 Hz, stamped late)."""
    rng = np.random.default_rng(0)
    t = np.arange(0, 9, 0.01)
    tones = zip(rng.uniform(0.3, 3.0, 8), rng.uniform(0, 6.28, 8), strict=True)
    u = np.pi / 2 + sum(0.04 * np.sin(2 * np.pi * f * t + p) for f, p in tones)
    q = JointDrive.of_robot("fr3", (joint,)).answer(Signal(t, u[:, None]), t, parameters)[:, 0]
    asked = [("/target_joint", at, _joints({joint: x}, at)) for at, x in zip(t, u, strict=True)]
    noisy = q + rng.normal(0, 1e-4, len(q))
    measured = [("/joint_states", at, _joints({"finger": 0.02, joint: x}, at)) for at, x in zip(t, noisy, strict=True)]
    wall = cv2.GaussianBlur(rng.integers(0, 256, (160, 400)).astype(np.float32), (0, 0), 3)
    wall = cv2.normalize(wall, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    shots = [
        ("/wrist/color/image_raw", at, _picture(wall, at, float(np.interp(at - camera_late_s, t, q)) - np.pi / 2))
        for at in np.arange(0.1, 8.9, 1 / 30)
    ]
    _write(folder, sorted(asked + measured + shots, key=lambda sent: sent[1]))
    return folder


def _joints(positions_rad: Mapping[str, float], at_s: float) -> Any:
    none, values = np.zeros(0), np.array(list(positions_rad.values()))
    return STORE.types["sensor_msgs/msg/JointState"](_header(at_s), list(positions_rad), values, none, none)


def _picture(wall: np.ndarray, at_s: float, turned_rad: float) -> Any:
    shift = np.array([[1, 0, -120 + PX_PER_RAD * turned_rad], [0, 1, -20.0]])
    grey = cv2.warpAffine(wall, shift, (160, 120))
    return STORE.types["sensor_msgs/msg/Image"](_header(at_s), 120, 160, "mono8", 0, 160, grey.ravel())


def _header(at_s: float) -> Any:
    ns = START_NS + round(at_s * 1e9)
    stamp = STORE.types["builtin_interfaces/msg/Time"](ns // 10**9, ns % 10**9)
    return STORE.types["std_msgs/msg/Header"](stamp, "")


def _write(folder: Path, messages: list[tuple[str, float, Any]]) -> None:
    writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
    with writer:
        connections: dict[str, Any] = {}
        for topic, at_s, message in messages:
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], START_NS + round(at_s * 1e9), STORE.serialize_cdr(message, kind))
