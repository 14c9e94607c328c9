"""A gamepad at this machine, through the kernel's input events (evdev): no window and no display are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from o2o_robot.errors import DeviceError
from o2o_robot.teleop.axes import AxisRules
from o2o_robot.teleop.device import N_AXES, Clock, Moment, Reading
from o2o_robot.teleop.hand import Buttons
from o2o_robot.teleop.plugged import Plugged
from o2o_robot.teleop.settings import described
from o2o_robot.types import Source

# Codes of linux/input-event-codes.h. An axis is signed so that away from the person, to the left and up are positive.
EV_SYN, EV_KEY, EV_ABS, SYN_DROPPED = 0, 1, 3, 3
STICKS = {1: (0, -1.0), 0: (1, -1.0), 4: (2, -1.0), 3: (5, -1.0)}  # ABS_Y, ABS_X, ABS_RY, ABS_RX -> axis, its sign
NAMES = {
    0x130: "a",
    0x131: "b",
    0x133: "x",
    0x134: "y",
    0x136: "lb",
    0x137: "rb",
    0x13A: "back",
    0x13B: "start",
    0x13D: "left_stick",
    0x13E: "right_stick",
}


class Pad(Protocol):
    """What is used of evdev.InputDevice."""

    def read(self) -> Iterable[Any]:
        """Events with type, code and value. BlockingIOError: none; OSError: it is gone."""
        ...

    def absinfo(self, axis_num: int) -> Any:
        """An axis' min, max and present value."""
        ...

    def active_keys(self) -> list[int]: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class GamepadConfig:
    """See the sentences."""

    path: str = described(
        "", "of its events, /dev/input/event7 or a link in /dev/input/by-id; empty: the first there is"
    )


class Gamepad(Plugged):
    """Left stick: forward, back, left, right. Right stick: up, down, turn. The right shoulder is the deadman button."""

    Config = GamepadConfig
    rules: ClassVar[AxisRules] = AxisRules(deadband=0.12)
    buttons: ClassVar[Buttons] = Buttons(
        deadman="rb", grip="a", success="y", failure="x", discard="back", estop="b", pause="start"
    )
    source: ClassVar[Source] = Source.TELEOP

    def __init__(self, config: GamepadConfig, clock: Clock, *, find: Callable[[str], Pad] | None = None) -> None:
        super().__init__(clock)
        self._config, self._find = config, find or find_pad
        self._pad: Pad | None = None

    def _plug(self) -> None:
        self._pad = self._find(self._config.path)
        self._ranges = {code: self._pad.absinfo(code) for code in STICKS}
        self._resync()

    def _pull(self) -> None:
        if self._pad is not None:
            self._pad.close()
        self._pad = None

    def _resync(self) -> None:
        """The present state, which events then change."""
        assert self._pad is not None
        self._raw = {code: self._pad.absinfo(code).value for code in STICKS}
        self._down = set(self._pad.active_keys())

    def _look(self, moment: Moment) -> Reading:
        assert self._pad is not None
        try:
            for event in self._pad.read():
                self._take(event.type, event.code, event.value)
        except BlockingIOError:
            pass
        axes = np.zeros(N_AXES)
        for code, (axis, sign) in STICKS.items():
            axes[axis] = sign * self._deflection(code)
        names = frozenset(NAMES[code] for code in self._down if code in NAMES)
        return Reading(moment.now_s, axes, buttons=names)  # the kernel tells of changes, and when it is gone

    def _take(self, kind: int, code: int, value: int) -> None:
        if kind == EV_SYN and code == SYN_DROPPED:
            self._resync()  # events were lost: a release may be among them
        elif kind == EV_ABS and code in STICKS:
            self._raw[code] = value
        elif kind == EV_KEY:
            (self._down.add if value else self._down.discard)(code)

    def _deflection(self, code: int) -> float:
        least, most = self._ranges[code].min, self._ranges[code].max
        return float(np.clip((2.0 * self._raw[code] - least - most) / max(1, most - least), -1.0, 1.0))


def find_pad(path: str) -> Pad:
    """The gamepad at that path, or the first there is. Raises DeviceError."""
    try:
        import evdev
    except ImportError:
        raise DeviceError("gamepad: evdev is not installed; pip install 'o2o_robot[teleop]'") from None
    try:
        for candidate in [path] if path else sorted(evdev.list_devices(writable=False)):
            pad: Any = evdev.InputDevice(candidate)
            if path or 0x130 in pad.capabilities().get(EV_KEY, []):
                return pad
            pad.close()
    except OSError as problem:
        raise DeviceError(f"gamepad: {problem}; is it plugged in, and is this user in the group input?") from None
    raise DeviceError("gamepad: none is there; plug it in, and see that this user is in the group input")
