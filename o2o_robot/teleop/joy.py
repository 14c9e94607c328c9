"""A joystick behind sensor_msgs/Joy: joy_node's, anybody's driver, or the browser's gamepad by way of the console."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from o2o_robot.errors import ConfigError, DeviceError
from o2o_robot.teleop.axes import AxisRules
from o2o_robot.teleop.device import N_AXES, Clock, Reading
from o2o_robot.teleop.fed import Fed
from o2o_robot.teleop.hand import Buttons
from o2o_robot.teleop.settings import described
from o2o_robot.types import Array, Source

NO_AXIS = "."
MOST = 64  # axes or buttons of a message; more are no joystick's


@dataclass(frozen=True)
class JoyConfig:
    """See the sentences."""

    topic: str = described("joy", "sensor_msgs/Joy to hear")
    picks: tuple[str, ...] = described(
        ("+1", "+0", "+4", ".", ".", "+3"),
        "for x, y, z and the rotations about them: sign and number of the message's axis, or a dot for none",
    )

    def __post_init__(self) -> None:
        if len(self.picks) != N_AXES:
            raise ConfigError(f"picks are {list(self.picks)}; name six axes, like +1 +0 +4 . . +3")
        self.numbers()

    def numbers(self) -> list[tuple[int, float]]:
        """For each of the six, which axis of the message, and its sign: 0 where there is none."""
        return [_number(word) for word in self.picks]


class Joy(Fed):
    """Buttons are named by their numbers. The defaults are an Xbox pad's under joy_node on Linux."""

    Config: ClassVar[type[JoyConfig]] = JoyConfig
    rules: ClassVar[AxisRules] = AxisRules(deadband=0.12)
    buttons: ClassVar[Buttons] = Buttons(
        deadman="5", grip="0", success="3", failure="2", discard="6", estop="1", pause="7"
    )
    source: ClassVar[Source] = Source.TELEOP

    def __init__(self, config: JoyConfig, clock: Clock) -> None:
        super().__init__(clock)
        self.config = config
        self._numbers = config.numbers()

    def hear(self, axes: Sequence[float], buttons: Sequence[int]) -> None:
        """One message. Without axes nobody has hold of it. Raises DeviceError where it is no joystick of `picks`."""
        if not len(axes):
            self.let_go()
            return
        if len(axes) > MOST or len(buttons) > MOST:
            raise DeviceError(
                f"{len(axes)} axes and {len(buttons)} buttons are no joystick's; look who publishes there"
            )
        pressed = frozenset(str(number) for number, down in enumerate(buttons) if down)
        self._keep(Reading(self._clock(), self._picked(axes), is_held=self._says_held(), buttons=pressed))

    def _says_held(self) -> bool | None:
        return None

    def _picked(self, axes: Sequence[float]) -> Array:
        most = max(number for number, sign in self._numbers if sign) if any(s for _, s in self._numbers) else -1
        if most >= len(axes) or not np.isfinite(axes).all():
            raise DeviceError(f"axis {most} is asked for and the message's are {list(axes)}; set picks to what it has")
        return np.clip([sign * axes[number] if sign else 0.0 for number, sign in self._numbers], -1.0, 1.0)


@dataclass(frozen=True)
class BrowserConfig(JoyConfig):
    """See the sentences."""

    topic: str = described("console_joy", "what console_node publishes while somebody has hold of the page's controls")
    picks: tuple[str, ...] = described(
        ("+0", "+1", "+2", "+3", "+4", "+5"), "as of joy; the console sends x, y, z and the rotations about them"
    )


class Browser(Joy):
    """The console's page has the deadman: it sends while a person holds on, and an empty message once not."""

    Config: ClassVar[type[JoyConfig]] = BrowserConfig
    rules: ClassVar[AxisRules] = AxisRules(deadband=0.12)
    buttons: ClassVar[Buttons] = Buttons(grip="0")

    def _says_held(self) -> bool | None:
        return True


def _number(word: str) -> tuple[int, float]:
    if word == NO_AXIS:
        return 0, 0.0
    sign, digits = (word[0], word[1:]) if word[:1] in "+-" else ("+", word)
    if not digits.isdigit() or int(digits) >= MOST:
        raise ConfigError(f"pick '{word}' names no axis; write +0, -1, ... or a dot for none")
    return int(digits), -1.0 if sign == "-" else 1.0
