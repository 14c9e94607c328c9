"""A terminal's keys as a device: hold one to move, let go to stop. A terminal says when a key repeats, never when it
is let go; so what it said last is over after a while.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from o2o_robot.errors import ConfigError, DeviceError
from o2o_robot.teleop.axes import AxisRules
from o2o_robot.teleop.device import N_AXES, Clock, Moment, Reading
from o2o_robot.teleop.hand import Buttons
from o2o_robot.teleop.settings import described
from o2o_robot.teleop.terminal_keys import TerminalKeys
from o2o_robot.types import Source

# key -> axis (0 to 5) and its sign. As at the prompt of `o2o finetune`, letters and the space bar are words.
MOVES = {
    "up": (0, 1.0),
    "down": (0, -1.0),
    "left": (1, 1.0),
    "right": (1, -1.0),
    "pageup": (2, 1.0),
    "u": (2, 1.0),
    "pagedown": (2, -1.0),
    "j": (2, -1.0),
    "k": (5, 1.0),
    "l": (5, -1.0),
}
PROMPT = "O2O_TERMINAL"  # of the prompt that a graph was started at (overlay.prompt)
KEEPS = "m"  # takes and keeps the arm without moving it


@dataclass(frozen=True)
class KeyboardConfig:
    """See the sentences."""

    terminal: str = described("", "terminal whose keys are read; empty: of the prompt it was started at")
    tap_s: float = described(0.15, "how long a key moves the arm; longer than between two repeats of a held key")
    hold_s: float = described(0.7, "how long a key keeps the arm; longer than a held key takes to begin repeating")

    def __post_init__(self) -> None:
        if not 0 < self.tap_s <= self.hold_s:
            raise ConfigError(f"tap_s={self.tap_s} must be > 0 and at most hold_s={self.hold_s}; try 0.15 and 0.7")


class Keyboard:
    """Each key moves for tap_s and keeps the arm for hold_s. A tap is a nudge; a held key, repeating, a motion."""

    Config = KeyboardConfig
    rules: ClassVar[AxisRules] = AxisRules(deadband=0.0, expo=0.0, scale=0.5)
    buttons: ClassVar[Buttons] = Buttons(
        grip="g", success="s", failure="f", discard="d", estop="space", hold="h", pause="p", resume="r", end="e"
    )
    source: ClassVar[Source] = Source.TELEOP

    def __init__(self, config: KeyboardConfig, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._open = ExitStack()
        self._keys: TerminalKeys | None = None
        self._pressed_s: dict[str, float] = {}
        self.trouble = ""

    def __enter__(self) -> Keyboard:
        self._keys = self._open.enter_context(TerminalKeys(self._config.terminal or os.environ.get(PROMPT, "")))
        return self

    def __exit__(self, *_problem: Any) -> None:
        self._keys = None
        self._open.close()

    def begin(self, seed: int) -> None:
        """Nothing is random here."""

    def read(self, moment: Moment) -> Reading | None:
        if self._keys is None:
            return None
        try:
            self._pressed_s |= dict.fromkeys(self._keys.read(), moment.now_s)
        except DeviceError as problem:
            self.trouble, self._keys = str(problem), None
            return None
        axes = np.zeros(N_AXES)
        for key in self._within(moment.now_s, self._config.tap_s) & MOVES.keys():
            axis, sign = MOVES[key]
            axes[axis] += sign
        pressed = self._within(moment.now_s, self._config.hold_s)
        is_held = bool(pressed & (MOVES.keys() | {KEEPS, self.buttons.grip}))
        return Reading(moment.now_s, axes, is_held=is_held, buttons=pressed)

    def _within(self, now_s: float, span_s: float) -> frozenset[str]:
        return frozenset(key for key, at_s in self._pressed_s.items() if now_s - at_s <= span_s)
