"""Numbers that wander with time: what drifts in a sensor."""

from __future__ import annotations

import numpy as np

from o2o_robot.types import Array
from o2o_sim.channel import NS_PER_S


class Wander:
    """A stationary Ornstein-Uhlenbeck process about 0: std (n,), correlation falling to 1/e in time_s."""

    def __init__(self, std: Array, time_s: float, rng: np.random.Generator) -> None:
        self._std, self._time_s, self._rng = std, time_s, rng
        self._value = std * rng.standard_normal(len(std))
        self._at_ns: int | None = None

    def at(self, now_ns: int) -> Array:
        """Its value (n,) at a time that never goes back."""
        since_s = 0.0 if self._at_ns is None else (now_ns - self._at_ns) / NS_PER_S
        kept = np.exp(-since_s / self._time_s)
        self._value = kept * self._value + np.sqrt(1 - kept**2) * self._std * self._rng.standard_normal(len(self._std))
        self._at_ns = now_ns
        return self._value.copy()


class Walk:
    """A random walk from `start` (n,), whose standard deviation is std_1s (n,) after a second."""

    def __init__(self, start: Array, std_1s: Array, rng: np.random.Generator) -> None:
        self._value, self._std_1s, self._rng = start, std_1s, rng
        self._at_ns: int | None = None

    def at(self, now_ns: int) -> Array:
        """Its value (n,) at a time that never goes back."""
        since_s = 0.0 if self._at_ns is None else (now_ns - self._at_ns) / NS_PER_S
        self._value = self._value + np.sqrt(since_s) * self._std_1s * self._rng.standard_normal(len(self._std_1s))
        self._at_ns = now_ns
        return self._value.copy()
