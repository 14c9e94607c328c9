"""What latency is measured from: joint positions by name, and pictures, of a bag, with the sensors' own stamps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from o2o_calibration.delay import Signal, in_order
from o2o_calibration.errors import CalibrationError
from o2o_robot.data.bag import Bag
from o2o_robot.data.decode import Types, header_stamp_ns, picture
from o2o_robot.types import Array

SIDE_PX = 320  # pictures are squeezed to squares of this: which way they moved is all that is asked


class Joints(NamedTuple):
    """Positions (n, k) rad of named joints, with stamps."""

    names: tuple[str, ...]
    signal: Signal


class Pictures(NamedTuple):
    """Grey pictures (H, W) uint8 with their stamps (n,) in seconds."""

    t_s: Array
    grey: list[Array]


def joints(path: Path, topic: str, names: tuple[str, ...] = ()) -> Joints:
    """Joint positions of a sensor_msgs/JointState topic, those named or all of the first message, matched by name."""
    t_s, rows = [], []
    for stamp_ns, message in _messages(path, topic):
        names = names or tuple(message.name)
        index = {name: i for i, name in enumerate(message.name)}
        missing = [name for name in names if name not in index]
        if missing:
            raise CalibrationError(
                f"{path}: a message of {topic} has no joint '{missing[0]}'; it has {', '.join(index)}"
            )
        t_s.append(stamp_ns)
        rows.append([message.position[index[name]] for name in names])
    if not rows:
        raise CalibrationError(f"{path}: no message on {topic}")
    return Joints(names, in_order(np.array(t_s) / 1e9, np.array(rows, np.float64)))


def pictures(path: Path, topic: str) -> Pictures:
    """The pictures of a topic, grey."""
    found = [
        (stamp_ns, cv2.cvtColor(picture(m, SIDE_PX), cv2.COLOR_RGB2GRAY)) for stamp_ns, m in _messages(path, topic)
    ]
    if len(found) < 3:
        raise CalibrationError(f"{path}: {len(found)} pictures on {topic}; record 10 s of shaking")
    return Pictures(np.array([stamp_ns for stamp_ns, _ in found]) / 1e9, [grey for _, grey in found])


def since(start_s: float, signal: Signal) -> Signal:
    """The same with its clock at zero at start_s: stamps of today leave a double too few digits to be pleasant."""
    return Signal(signal.t_s - start_s, signal.values)


def _messages(path: Path, topic: str) -> Iterator[tuple[int, Any]]:
    bag = Bag.open(path)
    topics = bag.topics()
    if topic not in topics:
        raise CalibrationError(f"{path} has no topic {topic}; it has {', '.join(sorted(topics)) or 'none'}")
    types = Types({topic: topics[topic]})
    for message in bag.messages({topic}):
        if message.data:
            yield header_stamp_ns(message.data), types.message(topic, message.data)
