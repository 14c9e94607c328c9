"""Where an episode starts, how far from it is near enough, and by how much each start is drawn elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_robot.types import Array

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Start:
    """The tool's home in the base frame, and what else must be as it was; an empty one, or None, is not asked for.

    position_m (3,); joints_rad (n,): these the tool's way cannot set, they are only verified. gripper_m: its opening.
    spread_m (3,): half-width of the box around home in which the start of an episode is drawn. At home, where every
    reset looks alike, the views are compared; the drawn start is gone to from there.
    """

    position_m: Numbers = ()
    joints_rad: Numbers = ()
    gripper_m: float | None = None
    spread_m: Numbers = ()

    def __post_init__(self) -> None:
        for name in ("position_m", "spread_m"):
            value = getattr(self, name)
            if len(value) not in (0, 3) or not np.isfinite(value).all():
                raise ConfigError(f"start {name} is {list(value)}; give x, y, z in metres, or leave it empty")
        if min(self.spread_m, default=0.0) < 0 or (any(self.spread_m) and not self.position_m):
            raise ConfigError(f"start spread_m is {list(self.spread_m)}; it must be >= 0, around a position_m")
        if not np.isfinite(self.joints_rad).all():
            raise ConfigError(
                f"start joints_rad is {list(self.joints_rad)}; give each joint's angle, or leave it empty"
            )

    @property
    def is_drawn(self) -> bool:
        """Whether episodes start elsewhere than at home."""
        return any(self.spread_m)

    def drawn_m(self, seed: int) -> Array:
        """The tool's place (3,) m at the start of the episode of this seed; for -1 home."""
        home = np.array(self.position_m)
        if not self.is_drawn or seed < 0:
            return home
        return home + np.array(self.spread_m) * np.random.default_rng([seed, 2]).uniform(-1.0, 1.0, 3)


@dataclass(frozen=True)
class Tolerances:
    """Nearer than these an arm is at its start. speed_rad_s: of the fastest joint, for an arm that stands."""

    position_m: float = 0.008
    joints_rad: float = 0.15
    gripper_m: float = 0.005
    speed_rad_s: float = 0.08

    def __post_init__(self) -> None:
        for name in ("position_m", "joints_rad", "gripper_m", "speed_rad_s"):
            if not (np.isfinite(value := getattr(self, name)) and value > 0):
                raise ConfigError(f"tolerance {name} must be > 0, got {value}; {getattr(Tolerances, name)} is usual")
