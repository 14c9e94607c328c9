"""Devices without hardware, each at the boundary of its own library: bytes of reports, kernel events, a terminal."""

from __future__ import annotations

import os
import struct
from collections import deque
from types import SimpleNamespace
from typing import Any

import numpy as np

from o2o_robot.teleop.device import Moment
from o2o_robot.types import ArmState, Pose

DOWN_XYZW = np.array([1.0, 0.0, 0.0, 0.0])


class Hands:
    """A steady clock that a test moves: now = Hands(); now.s += 0.1; Device(config, now)."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def moment(now_s: float, tool_m: Any = None, *, gripper_m: float = 0.0, quat_xyzw: Any = DOWN_XYZW) -> Moment:
    """An instant; with tool_m (3,) the arm is known."""
    if tool_m is None:
        return Moment(now_s)
    pose = Pose(np.asarray(tool_m, np.float64), np.asarray(quat_xyzw, np.float64))
    return Moment(now_s, 1, ArmState(1, np.zeros(7), np.zeros(7), pose, gripper_m))


class HidMouse:
    """What hidapi shows of an open SpaceMouse: a queue of reports."""

    def __init__(self) -> None:
        self.reports: deque[bytes] = deque()
        self.is_gone = self.is_closed = False

    def push(self, x: int = 0, y: int = 0, z: int = 0) -> None:
        """Report 1 of a SpaceMouse Compact or Wireless, counts of 350, by the USB HID axes: y to the user, z down."""
        self.reports.append(bytes([1]) + struct.pack("<6h", x, y, z, 0, 0, 0))

    def press(self, bits: int) -> None:
        """Report 3: bit 0 is the left button, bit 1 the right one."""
        self.reports.append(bytes([3, bits, 0, 0, 0]))

    def read(self, max_length: int) -> list[int]:
        if self.is_gone:
            raise OSError("read error")
        return list(self.reports.popleft()[:max_length]) if self.reports else []

    def close(self) -> None:
        self.is_closed = True


class PipePad:
    """evdev's own reader of the kernel's event structs, at a pipe in place of /dev/input/event7."""

    RANGE = SimpleNamespace(min=-32768, max=32767, value=0)

    def __init__(self) -> None:
        from evdev.eventio import EventIO

        self.fd, self._end = os.pipe()
        os.set_blocking(self.fd, False)
        self._reader = EventIO()
        self._reader.fd = self.fd
        self.held: list[int] = []
        self.is_closed = False

    def send(self, *events: tuple[int, int, int]) -> None:
        """Events as the kernel writes them: struct input_event of (type, code, value)."""
        os.write(self._end, b"".join(struct.pack("@llHHi", 0, 0, *event) for event in events))

    def unplug(self) -> None:
        os.close(self.fd)  # a read of it fails from now on, as one of a device that is gone does

    def read(self) -> Any:
        return self._reader.read()

    def absinfo(self, axis_num: int) -> Any:
        return self.RANGE

    def active_keys(self) -> list[int]:
        return list(self.held)

    def close(self) -> None:
        self.is_closed = True
