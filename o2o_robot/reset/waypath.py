"""A way through points in space as one reference a control period, of bounded speed, acceleration and jerk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_robot.types import Array

SAME_M = 1e-9


@dataclass(frozen=True)
class Pace:
    """How fast a way is gone. A point moves along it at speed_m_s, and is averaged over build_up_s twice.

    Averaging a motion of speed v over a window w gives an acceleration of at most 2 v / w, and once more a jerk of at
    most 4 v / w^2, whatever corners the way has; it starts and ends at rest.
    """

    speed_m_s: float = 0.10
    build_up_s: float = 0.4
    period_s: float = 0.1

    def __post_init__(self) -> None:
        for name in ("speed_m_s", "build_up_s", "period_s"):
            if not (np.isfinite(value := getattr(self, name)) and value > 0):
                raise ConfigError(f"{name} must be > 0, got {value}; {getattr(Pace, name)} is usual")

    @property
    def window(self) -> int:
        """Periods in build_up_s, one at least."""
        return max(1, round(self.build_up_s / self.period_s))

    def reference(self, points_m: Sequence[Array], *, stops: bool = True) -> Array:
        """References (k, 3) m from the first point, where it is at rest, to the last. stops: at rest in each between.

        Without stops it cuts corners, by less than speed_m_s * build_up_s / 2.
        """
        points = _distinct(points_m)
        legs = [self._leg(a, b) for a, b in pairwise(points)]
        if not stops:
            legs = [np.concatenate([legs[0], *(leg[1:] for leg in legs[1:])])] if legs else []
        smooth = [_averaged(_averaged(leg, self.window), self.window) for leg in legs]
        return np.concatenate([points[0][None], *smooth])

    def _leg(self, a: Array, b: Array) -> Array:
        n = max(1, int(np.ceil(np.linalg.norm(b - a) / (self.speed_m_s * self.period_s))))
        return a + (b - a) * np.linspace(0.0, 1.0, n + 1)[:, None]


def _distinct(points_m: Sequence[Array]) -> list[Array]:
    """The points, without those that are where the one before is."""
    points = [np.asarray(point, np.float64) for point in points_m]
    return points[:1] + [b for a, b in pairwise(points) if np.linalg.norm(b - a) > SAME_M]


def _averaged(points_m: Array, window: int) -> Array:
    """The mean of the last `window` points at each, the ends held: (k + window - 1, 3)."""
    before, after = np.repeat(points_m[:1], window - 1, axis=0), np.repeat(points_m[-1:], window - 1, axis=0)
    held = np.concatenate([before, points_m, after])
    return np.stack([np.convolve(column, np.full(window, 1.0 / window), "valid") for column in held.T], axis=1)
