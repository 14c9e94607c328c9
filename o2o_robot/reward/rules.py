"""When something seen becomes a verdict: hysteresis with a minimum duration, a box for the tool, a bound on force."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_robot.types import Array

_NS = 1_000_000_000


@dataclass
class Hysteresis:
    """Yes once a value was at or above `on` for `min_s`; no again once it was below `off` for `min_s`.

        verdict = Hysteresis(on=0.9, off=0.5, min_s=0.2)
        is_success = verdict.see(probability, stamp_ns)

    Time is that of the stamps. A value between the two keeps what was, and breaks off whatever had begun; so does one
    that is not finite. A stamp that is not newer than the last changes nothing; a gap of more than `gap_s` begins anew,
    since nobody knows what was between.
    """

    on: float
    off: float
    min_s: float = 0.0
    gap_s: float = 1.0
    is_on: bool = field(init=False, default=False)
    _since_ns: int | None = field(init=False, default=None)
    _last_ns: int | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.on) and math.isfinite(self.off) and self.off <= self.on):
            raise ConfigError(f"hysteresis needs off <= on, got off={self.off} and on={self.on}; lower off")
        if not 0 <= self.min_s < self.gap_s:
            raise ConfigError(f"min_s must be >= 0 and < gap_s={self.gap_s}, got {self.min_s}; 0.2 is two frames")

    def reset(self) -> None:
        """A new episode: no, and nothing seen."""
        self.is_on, self._since_ns, self._last_ns = False, None, None

    def see(self, value: float, stamp_ns: int) -> bool:
        """The verdict after this value."""
        if self._last_ns is not None and stamp_ns <= self._last_ns:
            return self.is_on
        if self._last_ns is not None and stamp_ns - self._last_ns > self.gap_s * _NS:
            self._since_ns = None
        self._last_ns = stamp_ns
        if not self._would_change(value):
            self._since_ns = None
        else:
            self._since_ns = stamp_ns if self._since_ns is None else self._since_ns
            if stamp_ns - self._since_ns >= self.min_s * _NS:
                self.is_on, self._since_ns = not self.is_on, None
        return self.is_on

    def _would_change(self, value: float) -> bool:
        return value < self.off if self.is_on else value >= self.on  # NaN is neither


@dataclass(frozen=True)
class PoseRule:
    """How the tool lies in a box of the base frame: low_m and high_m are its corners, three numbers each."""

    low_m: tuple[float, ...]
    high_m: tuple[float, ...]

    def __post_init__(self) -> None:
        low, high = np.asarray(self.low_m, float), np.asarray(self.high_m, float)
        if low.shape != (3,) or high.shape != (3,) or not (low < high).all():
            raise ConfigError(
                f"a box needs x, y, z in metres, each low below high, got {self.low_m} and {self.high_m}; "
                "set pose_low_m and pose_high_m"
            )

    def score(self, position_m: Array) -> float:
        """1 inside (the faces too), 0 outside, NaN where the position (3,) is not finite."""
        if not np.isfinite(position_m).all():
            return math.nan
        return float((position_m >= self.low_m).all() and (position_m <= self.high_m).all())


@dataclass(frozen=True)
class WrenchRule:
    """Whether the tool is pushed: the force, or its part along `axis` (unit length is not needed), is high enough.

    With an axis the sign counts: (0, 0, 1) is a push along +z of the wrench's frame.
    """

    min_n: float
    axis: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.min_n > 0:
            raise ConfigError(f"wrench_min_n must be > 0, got {self.min_n}; 5 is a firm touch")
        if self.axis and (len(self.axis) != 3 or not np.linalg.norm(self.axis) > 0):
            raise ConfigError(f"wrench_axis must be three numbers that are not all 0, got {self.axis}")

    def score(self, force_n: Array) -> float:
        """1 at min_n or more, 0 below, NaN where the force (3,) is not finite."""
        if not np.isfinite(force_n).all():
            return math.nan
        along = np.linalg.norm(force_n) if not self.axis else force_n @ self.axis / np.linalg.norm(self.axis)
        return float(along >= self.min_n)
