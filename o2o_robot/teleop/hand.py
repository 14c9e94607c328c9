"""From what a device shows to what the hand on it asks of the arm: held or released, a motion, a gripper, a deed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_robot.teleop.axes import AxisRules
from o2o_robot.types import Array

if TYPE_CHECKING:
    from o2o_robot.teleop.device import Moment, Reading


@dataclass(frozen=True)
class Buttons:
    """Which button of a device does what; empty: none does.

    deadman: the arm follows while it is held, and only then; none: any deflection takes the arm. grip: each press
    closes the gripper, or opens it. close, open: the same with two buttons. The others are a person's words: how the
    episode ended (success, failure, discard), and what an operator asks for (estop, hold, pause, resume, end).
    """

    deadman: str = ""
    grip: str = ""
    close: str = ""
    open: str = ""
    success: str = ""
    failure: str = ""
    discard: str = ""
    estop: str = ""
    hold: str = ""
    pause: str = ""
    resume: str = ""
    end: str = ""

    def __post_init__(self) -> None:
        used = [name for name in dataclasses.astuple(self) if name]
        if twice := {name for name in used if used.count(name) > 1}:
            raise ConfigError(f"button {', '.join(sorted(twice))} is to do two things; give one of them another button")


DEEDS = ("success", "failure", "discard", "estop", "hold", "pause", "resume", "end")


@dataclass(frozen=True)
class HandRules:
    """release_s: how long a hand without a deadman button keeps the arm after its last deflection, so that a pause in
    a motion is no handing back. stale_s: a device that was silent for so long has released the arm.
    """

    release_s: float = 0.5
    stale_s: float = 0.3

    def __post_init__(self) -> None:
        if self.release_s < 0 or self.stale_s <= 0:
            raise ConfigError(f"release_s={self.release_s} must be >= 0, stale_s={self.stale_s} > 0; try 0.5 and 0.3")


class Hand(NamedTuple):
    """values: the action asked for, (n_action,) float32 in [-1, 1]; empty: released. deeds: of DEEDS, pressed now."""

    values: Array
    deeds: tuple[str, ...] = ()

    @property
    def is_held(self) -> bool:
        return bool(self.values.size)


RELEASED = np.zeros(0, np.float32)


class Operator:
    """Follows one device through time.

    operator = Operator(device.rules, device.buttons, HandRules(), n_action=3)
    hand = operator.see(device.read(moment), moment)
    """

    def __init__(
        self, axes: AxisRules, buttons: Buttons, rules: HandRules, *, n_action: int, open_m: float = 0.08
    ) -> None:
        """n_action: 3 for a displacement, 4 with a gripper. open_m: how far it opens. Rotations have no value yet."""
        if n_action not in (3, 4):
            raise ConfigError(f"a hand asks for 3 values, or 4 with a gripper; the action has {n_action}")
        self._axes, self._buttons, self._rules = axes, buttons, rules
        self._n_action, self._open_m = n_action, open_m
        self._pressed: frozenset[str] = frozenset()
        self._moved_s = -np.inf
        self._grip = 0.0

    def see(self, reading: Reading | None, moment: Moment) -> Hand:
        """What the hand asks for now. A device that is silent or gone has released, and pressed nothing.

        So has one whose motion is of the tool's frame, while nobody says how the tool is turned.
        """
        is_lost = self._axes.frame == "tool" and moment.arm is None
        if is_lost or reading is None or moment.now_s - reading.stamp_s > self._rules.stale_s:
            self._pressed, self._moved_s, self._grip = frozenset(), -np.inf, 0.0
            return Hand(RELEASED)
        new, self._pressed = reading.buttons - self._pressed, reading.buttons
        deeds = tuple(deed for deed in DEEDS if getattr(self._buttons, deed) in new)
        if not self._is_held(reading, moment.now_s):
            self._grip = 0.0
            return Hand(RELEASED, deeds)
        self._turn_grip(new, reading, moment)
        return Hand(self._values(reading, moment), deeds)

    def _is_held(self, reading: Reading, now_s: float) -> bool:
        if reading.is_held is not None:
            return reading.is_held
        if self._buttons.deadman:
            return self._buttons.deadman in reading.buttons
        grips = {self._buttons.grip, self._buttons.close, self._buttons.open} & reading.buttons
        if self._axes.shaped(reading.axes).any() or grips or reading.gripper:
            self._moved_s = now_s
        return now_s - self._moved_s <= self._rules.release_s

    def _turn_grip(self, new: frozenset[str], reading: Reading, moment: Moment) -> None:
        """What the gripper is to do from now on, until another word or a release."""
        if self._buttons.grip in new:
            is_open = self._grip > 0 or (self._grip == 0 and _is_open(moment, self._open_m))
            self._grip = -1.0 if is_open else 1.0
        if self._buttons.close in new:
            self._grip = -1.0
        if self._buttons.open in new:
            self._grip = 1.0
        self._grip = reading.gripper or self._grip

    def _values(self, reading: Reading, moment: Moment) -> Array:
        quat = moment.arm.tool.quat_xyzw if moment.arm is not None else None
        moved = self._axes.motion(reading.axes, quat)[:3]
        return np.append(moved, self._grip)[: self._n_action].astype(np.float32)


def _is_open(moment: Moment, open_m: float) -> bool:
    """Whether the gripper is rather open than closed; open where nobody says."""
    return moment.arm is None or moment.arm.gripper_m > open_m / 2
