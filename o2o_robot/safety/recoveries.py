"""Counts how often a run got up again by itself, and says when that is too often."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from o2o_robot.errors import LimitError

WINDOW_S = 600.0


class Recoveries:
    """At most `most` new episodes out of a soft stop in ten minutes of `clock`; 0: any number.

    A cell that stops again and again has something wrong with it that a person should look at.
    """

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._at_s: deque[float] = deque()
        self.allow(most)

    def allow(self, most: int) -> None:
        """From now on so many, counting those that were."""
        if most < 0:
            raise LimitError(f"max_recoveries must be >= 0, got {most}; 5 in ten minutes is usual, 0 counts none")
        self._most = most

    def spend(self) -> bool:
        """One more, if it is allowed."""
        now_s = self._clock()
        while self._at_s and now_s - self._at_s[0] > WINDOW_S:
            self._at_s.popleft()
        if self._most and len(self._at_s) >= self._most:
            return False
        self._at_s.append(now_s)
        return True

    def forget(self) -> None:
        """A person has looked."""
        self._at_s.clear()
