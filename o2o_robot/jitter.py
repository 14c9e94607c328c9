"""How evenly periodic work comes: durations counted in fixed bins, so that a report costs the same after any time."""

from __future__ import annotations

import math
from bisect import bisect_left

EDGES_MS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
"""Upper ends of the bins; what is longer than the last falls into one of its own."""


class Histogram:
    """Durations in ms by the bins of EDGES_MS.

    late = Histogram(); late.add(0.3); late.quantile_ms(0.99), late.max_ms
    """

    def __init__(self) -> None:
        self.n, self.max_ms = 0, 0.0
        self._counts = [0] * (len(EDGES_MS) + 1)

    def add(self, ms: float) -> None:
        self.n += 1
        self.max_ms = max(self.max_ms, ms)
        self._counts[bisect_left(EDGES_MS, ms)] += 1

    def quantile_ms(self, share: float) -> float:
        """A bound that at least `share` of the durations do not pass: the end of a bin, or the maximum; 0 for none."""
        wanted, seen = math.ceil(share * self.n), 0
        for edge_ms, count in zip(EDGES_MS, self._counts, strict=False):
            seen += count
            if seen >= wanted:
                return min(edge_ms, self.max_ms)
        return self.max_ms

    def bins(self) -> str:
        """The bins that hold something, as words: `<=0.1: 97, <=0.2: 3`."""
        names = [*(f"<={edge_ms:g}" for edge_ms in EDGES_MS), f">{EDGES_MS[-1]:g}"]
        return ", ".join(f"{name}: {n}" for name, n in zip(names, self._counts, strict=True) if n)


class Jitter:
    """How far the rounds of work that should come every `period_s` are from that, in ms; early and late count alike.

    jitter.tick(time.monotonic())      # at every round; the first only starts
    latest = jitter.take()             # since the last take; jitter.whole: since the start
    """

    def __init__(self, period_s: float) -> None:
        self.period_s = period_s
        self.whole, self._latest = Histogram(), Histogram()
        self._last_s: float | None = None

    def tick(self, now_s: float) -> None:
        if self._last_s is not None:
            off_ms = abs(now_s - self._last_s - self.period_s) * 1e3
            self.whole.add(off_ms)
            self._latest.add(off_ms)
        self._last_s = now_s

    def take(self) -> Histogram:
        latest, self._latest = self._latest, Histogram()
        return latest
