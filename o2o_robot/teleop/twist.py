"""Anybody's driver that says how fast to move: geometry_msgs/TwistStamped, in m/s and rad/s or without units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from o2o_robot.errors import ConfigError, DeviceError
from o2o_robot.teleop.axes import AxisRules, within_box
from o2o_robot.teleop.device import Clock, Reading
from o2o_robot.teleop.fed import Fed
from o2o_robot.teleop.hand import Buttons
from o2o_robot.teleop.settings import described
from o2o_robot.types import Source


@dataclass(frozen=True)
class TwistConfig:
    """See the sentences."""

    topic: str = described("delta_twist_cmds", "geometry_msgs/TwistStamped to hear; the default is MoveIt Servo's name")
    full_m_s: float = described(1.0, "speed that is full deflection; 1 for drivers without units")
    full_rad_s: float = described(1.0, "the same of the rotation")

    def __post_init__(self) -> None:
        if self.full_m_s <= 0 or self.full_rad_s <= 0:
            raise ConfigError(
                f"full_m_s={self.full_m_s} and full_rad_s={self.full_rad_s} must be > 0; try 0.25 and 0.8"
            )


class Twist(Fed):
    """Zeros are a hand that holds still; silence lets go. A direction stays as it is, however fast it is asked for."""

    Config = TwistConfig
    rules: ClassVar[AxisRules] = AxisRules(deadband=0.02, expo=0.0)
    buttons: ClassVar[Buttons] = Buttons()
    source: ClassVar[Source] = Source.TELEOP

    def __init__(self, config: TwistConfig, clock: Clock) -> None:
        super().__init__(clock)
        self.config = config

    def hear(self, linear_m_s: Sequence[float], angular_rad_s: Sequence[float]) -> None:
        """One message, (3,) and (3,). Raises DeviceError where it is not finite."""
        linear, angular = np.asarray(linear_m_s, np.float64), np.asarray(angular_rad_s, np.float64)
        if not (np.isfinite(linear).all() and np.isfinite(angular).all()):
            raise DeviceError(f"{self.config.topic} says {linear.tolist()} m/s: not finite; look at its driver")
        axes = [within_box(linear / self.config.full_m_s), within_box(angular / self.config.full_rad_s)]
        self._keep(Reading(self._clock(), np.concatenate(axes)))
