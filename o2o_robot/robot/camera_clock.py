"""Turns the stamps of a camera's own clock into stamps of the host's, though frames arrive late and unevenly."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

MS = 1_000_000


@dataclass
class DeviceClock:
    """host = device + offset, where the offset is the least (arrival - device stamp) of the last `window_ns`.

    No frame arrives before it was taken, so the quickest of many is nearest to the truth, and USB or a scheduler that
    delays the others cannot pull the map: it is off by the quickest delay, and by what the two crystals drift in the
    window (at 100 ppm, 1 ms in 10 s). What comes out rises strictly and never lies after the arrival.

    A device stamp that goes back (unplugged, or its 32-bit microseconds ran over) begins anew at once. Offsets that all
    lie further than `jump_ns` from the map do so once they lasted `patience_ns`, and until then are not believed:
    frames that queued behind a stall arrive all at once, a clock that was set stays so.

        stamp_ns = clock.host_ns(frame_stamp_ns, arrival_ns=time.monotonic_ns())
    """

    window_ns: int = 10_000 * MS
    jump_ns: int = 100 * MS
    patience_ns: int = 300 * MS
    _seen: deque[tuple[int, int]] = field(default_factory=deque, init=False)  # arrival, offset; offsets rise
    _strange: list[tuple[int, int]] = field(default_factory=list, init=False)
    _device_ns: int | None = field(default=None, init=False)
    _host_ns: int | None = field(default=None, init=False)

    def host_ns(self, device_ns: int, arrival_ns: int) -> int:
        """The host's time at the device's time `device_ns`. arrival_ns must rise: give it a steady clock."""
        if self._device_ns is not None and device_ns <= self._device_ns:
            self._begin_anew([])
        self._device_ns = device_ns
        self._learn(arrival_ns, arrival_ns - device_ns)
        mapped_ns = device_ns + self._seen[0][1]
        if self._host_ns is not None:
            mapped_ns = max(mapped_ns, self._host_ns + 1)
        self._host_ns = min(mapped_ns, arrival_ns)
        return self._host_ns

    def _learn(self, arrival_ns: int, offset_ns: int) -> None:
        if self._seen and abs(offset_ns - self._seen[0][1]) > self.jump_ns:
            self._strange.append((arrival_ns, offset_ns))
            if arrival_ns - self._strange[0][0] >= self.patience_ns:
                self._begin_anew(self._strange)
            return
        self._strange = []
        self._keep(arrival_ns, offset_ns)

    def _begin_anew(self, known: list[tuple[int, int]]) -> None:
        self._seen.clear()
        self._strange = []
        for arrival_ns, offset_ns in known:
            self._keep(arrival_ns, offset_ns)

    def _keep(self, arrival_ns: int, offset_ns: int) -> None:
        """The sliding minimum: what is no less than a newer offset can never be the least again."""
        while self._seen and self._seen[-1][1] >= offset_ns:
            self._seen.pop()
        self._seen.append((arrival_ns, offset_ns))
        while arrival_ns - self._seen[0][0] > self.window_ns:
            self._seen.popleft()
