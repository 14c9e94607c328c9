"""How often something may be asked: a bucket that fills at a rate and holds a few."""

from __future__ import annotations

from collections.abc import Callable

from o2o_robot.errors import ConfigError


class Bucket:
    """`take()` is true at most `burst` times at once and `per_s` times a second over long."""

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float]) -> None:
        if per_s <= 0 or burst < 1:
            raise ConfigError(f"a bucket of {burst} at {per_s} a second gives nothing; both must be above 0")
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._left, self._filled_s = float(burst), clock()

    def take(self) -> bool:
        now_s = self._clock()
        self._left = min(self._burst, self._left + (now_s - self._filled_s) * self._per_s)
        self._filled_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
