"""Says when something that should keep coming has stopped."""

from __future__ import annotations

import math
from collections.abc import Callable

from o2o_robot.safety.limit import require_positive


class Watchdog:
    """Expires when `feed` was not called for more than `timeout_s` of `clock`, a steady clock in seconds.

    Until the first `feed` its age is infinite and it has expired: nothing is taken to be alive that was never seen.

    dog = Watchdog(timeout_s=0.2, clock=time.monotonic)
    dog.feed()
    if dog.expired: hold()
    """

    def __init__(self, timeout_s: float, clock: Callable[[], float]) -> None:
        require_positive("watchdog timeout_s", timeout_s, "0.2")
        self.timeout_s = timeout_s
        self._clock = clock
        self._fed_s = -math.inf

    def feed(self) -> None:
        """It is alive, now."""
        self._fed_s = self._clock()

    def forget(self) -> None:
        """As if never fed."""
        self._fed_s = -math.inf

    @property
    def age_s(self) -> float:
        """Seconds since the last `feed`, infinite where there was none."""
        return self._clock() - self._fed_s

    @property
    def expired(self) -> bool:
        return self.age_s > self.timeout_s
