"""Joins stamped streams into one look at the world per control tick: the same rule on a robot and on the twin."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from o2o_robot.errors import ConfigError

KEEP = 64  # samples kept per stream; two seconds of a 30 Hz camera
LATE_PERIODS = 5  # a sample further back than this is not late: the newer ones were stamped by a clock gone wrong


class Tick(NamedTuple):
    """The samples that belong to one instant, by stream name."""

    stamp_ns: int
    samples: dict[str, Any]


@dataclass
class Assembler:
    """Makes a tick from the newest reference frame at least a period after the last one.

    A sample belongs to a tick when its stamp is the latest not after the tick's and at most `tolerance_ns` older; at a
    tolerance of 0 every stream must carry the very stamp of the tick, which is how a simulator in lockstep is read.

        assembler.add("front", stamp_ns, pixels)
        if (tick := assembler.next_tick()) is not None: ...
    """

    streams: tuple[str, ...]
    reference: str
    period_ns: int
    tolerance_ns: int
    _samples: dict[str, deque[tuple[int, Any]]] = field(init=False)
    _not_before_ns: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if self.reference not in self.streams:
            raise ConfigError(f"reference stream '{self.reference}' is not among {', '.join(self.streams)}")
        if self.period_ns <= 0 or self.tolerance_ns < 0:
            raise ConfigError(
                f"period_ns must be > 0 and tolerance_ns >= 0, got {self.period_ns} and {self.tolerance_ns}"
            )
        self.restart(0)

    def restart(self, not_before_ns: int) -> None:
        """Begin anew: no tick is made of a stamp before `not_before_ns`, and no older sample is used."""
        kept = getattr(self, "_samples", {})
        self._samples = {
            name: deque((s for s in kept.get(name, ()) if s[0] >= not_before_ns), maxlen=KEEP) for name in self.streams
        }
        self._not_before_ns = not_before_ns

    def add(self, stream: str, stamp_ns: int, sample: Any) -> None:
        """Take a sample. One that is not newer than the stream's last is passed over (a duplicate, or late).

        But one that is far behind takes the place of all that are newer: a stamp from the future, or a clock that was
        set back, must not blind us until time has caught up. Ticks go forward all the same.
        """
        samples = self._samples[stream]
        late_ns = LATE_PERIODS * self.period_ns if self.tolerance_ns else 0  # in lockstep nothing comes late
        if samples and stamp_ns < samples[-1][0] - late_ns:
            self._samples[stream] = samples = deque((s for s in samples if s[0] < stamp_ns), maxlen=KEEP)
        if not samples or stamp_ns > samples[-1][0]:
            samples.append((stamp_ns, sample))

    def next_tick(self) -> Tick | None:
        """The newest complete tick, or None while a stream is missing or too old."""
        for stamp_ns, _ in reversed(self._samples[self.reference]):
            if stamp_ns < self._not_before_ns:
                return None
            samples = {name: self._latest(name, stamp_ns) for name in self.streams}
            if all(sample is not None for sample in samples.values()):
                # a sixth of a period of slack: half a frame of a 30 Hz camera at 10 Hz, so that jitter slips no way
                self._not_before_ns = stamp_ns + self.period_ns - self.period_ns // 6
                return Tick(stamp_ns, {name: sample[1] for name, sample in samples.items() if sample is not None})
        return None

    def behind(self) -> list[str]:
        """The streams that a tick at the newest stamp of all would wait for."""
        newest_ns = max((samples[-1][0] for samples in self._samples.values() if samples), default=0)
        since_ns = newest_ns - self.tolerance_ns
        return [name for name, samples in self._samples.items() if not samples or samples[-1][0] < since_ns]

    def _latest(self, stream: str, stamp_ns: int) -> tuple[int, Any] | None:
        for sample in reversed(self._samples[stream]):
            if sample[0] <= stamp_ns:
                return sample if stamp_ns - sample[0] <= self.tolerance_ns else None
        return None
