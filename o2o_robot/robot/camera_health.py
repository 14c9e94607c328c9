"""How well a camera delivers: its rate, the age of its frames, and what was lost on the way."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

SECOND_NS = 1_000_000_000


class Health(NamedTuple):
    """Of the last ten seconds: rate and ages; since the beginning: the counts. silent_s is the time without a frame."""

    rate_hz: float
    age_p50_ms: float
    age_p99_ms: float
    silent_s: float
    frames: int
    dropped: int
    repeated: int
    late: int
    reconnects: int


class HealthLog:
    """log.add(now_ns, age_ns, number) for each frame; log.health(now_ns) whenever somebody asks. All times steady."""

    def __init__(self, now_ns: int, *, window_s: float = 10.0) -> None:
        self._window_ns = int(window_s * SECOND_NS)
        self._arrivals: deque[tuple[int, int]] = deque()  # steady arrival, age
        self._began_ns = self._last_ns = now_ns
        self._number: int | None = None
        self.frames = self.dropped = self.repeated = self.late = self.reconnects = 0

    def add(self, now_ns: int, age_ns: int, number: int) -> None:
        """Count a frame. number is the device's own count: what it skips was dropped on the way."""
        if self._number is not None:
            self.dropped += max(0, number - self._number - 1)
        self._number = number
        self._last_ns = now_ns
        self.frames += 1
        self._arrivals.append((now_ns, age_ns))

    def reconnected(self, now_ns: int) -> None:
        """The device counts from the beginning; what it missed meanwhile was not dropped but never taken."""
        self._number, self._last_ns = None, now_ns
        self.reconnects += 1

    def silent_s(self, now_ns: int) -> float:
        """Since the last frame, or since the device was opened."""
        return (now_ns - self._last_ns) / SECOND_NS

    def health(self, now_ns: int) -> Health:
        """What a person or a diagnostics message wants to know. Rates are 0 and ages NaN without any frame."""
        since_ns = max(now_ns - self._window_ns, self._began_ns)
        kept = [(arrival_ns, age_ns) for arrival_ns, age_ns in list(self._arrivals) if arrival_ns > since_ns]
        while self._arrivals and self._arrivals[0][0] <= since_ns:
            self._arrivals.popleft()
        ages_ms = np.array([age_ns * 1e-6 for _, age_ns in kept] or [np.nan])
        rate_hz = len(kept) * SECOND_NS / max(now_ns - since_ns, 1)
        p50_ms, p99_ms = (float(np.percentile(ages_ms, share)) for share in (50, 99))
        counts = (self.frames, self.dropped, self.repeated, self.late, self.reconnects)
        return Health(rate_hz, p50_ms, p99_ms, self.silent_s(now_ns), *counts)
