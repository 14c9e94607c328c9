"""Signs of life of one process: rates and ages of what it hears, how long its callbacks take, memory and disk."""

from __future__ import annotations

import enum
import os
import resource
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from o2o_robot.jitter import Histogram, Jitter

Value = float | int | str
SLOW_CALLBACK_MS = 1000.0  # an executor busy for so long heard nobody: neither an e-stop nor a heartbeat
NO_DISK_BYTES, LITTLE_DISK_BYTES = 200_000_000, 2_000_000_000


class Level(enum.IntEnum):
    """As diagnostic_msgs/DiagnosticStatus numbers them."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


class Grave(str):
    """A trouble that makes the level ERROR: the arm cannot be used, or data are not kept."""


class Status(NamedTuple):
    """What a node says of itself. message: one line."""

    level: Level
    message: str
    values: Mapping[str, str]


class Vitals:
    """Counts while a node works; `readings` tells, and starts the rates and the latest histograms anew.

    All times come from `clock` (s, steady). Costs a node less than a microsecond a message.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.refused: dict[str, int] = {}  # stream -> messages that nobody could read, since the node was made
        self._streams: dict[str, _Stream] = {}
        self._beats: dict[str, Jitter] = {}
        self._work = Histogram()
        self._since_s = clock()

    def stream(self, name: str) -> Callable[[], None]:
        """What to call at each message of this stream; of several readers of one stream the last counts."""
        found = self._streams[name] = _Stream()

        def heard() -> None:
            found.n += 1
            found.last_s = self.clock()

        return heard

    def refusals(self, name: str) -> Callable[[], None]:
        """What to call at each message of this stream that is left out."""

        def refuse() -> None:
            self.refused[name] = self.refused.get(name, 0) + 1

        return refuse

    def forget(self, name: str) -> None:
        self._streams.pop(name, None)

    def beat(self, name: str, period_s: float) -> Callable[[], None]:
        """What to call at each round of periodic work."""
        jitter = self._beats[name] = Jitter(period_s)
        return lambda: jitter.tick(self.clock())

    def worked(self, began_s: float) -> None:
        """A callback that began then has ended."""
        self._work.add((self.clock() - began_s) * 1e3)

    def readings(self) -> dict[str, Value]:
        now_s = self.clock()
        over_s, self._since_s = max(now_s - self._since_s, 1e-9), now_s
        told: dict[str, Value] = {}
        for name, stream in self._streams.items():
            told |= {f"{name} hz": round(stream.take() / over_s, 1), f"{name} age_s": stream.age_s(now_s)}
        for name, jitter in self._beats.items():
            told |= _spread(f"{name} jitter", jitter.take()) | _spread(f"{name} jitter in all", jitter.whole)
        told |= {f"{name} refused": n for name, n in self.refused.items()}
        work, self._work = self._work, Histogram()
        return {**told, "callback max_ms": round(work.max_ms, 2), "callbacks": work.n}


class _Stream:
    """One stream's messages since the last report, and when the newest came."""

    def __init__(self) -> None:
        self.n, self.last_s = 0, -1.0

    def take(self) -> int:
        n, self.n = self.n, 0
        return n

    def age_s(self, now_s: float) -> Value:
        return round(now_s - self.last_s, 3) if self.last_s >= 0 else "never heard"


def judged(troubles: Sequence[str], *, is_active: bool, well: str = "working") -> tuple[Level, str]:
    """The level and the one line that troubles come to: the grave ones first; none is OK, a node at rest is STALE."""
    if troubles:
        first = sorted(troubles, key=lambda trouble: not isinstance(trouble, Grave))
        level = Level.ERROR if isinstance(first[0], Grave) else Level.WARN
        return level, "; ".join(" ".join(trouble.split()) for trouble in first)
    return (Level.OK, well) if is_active else (Level.STALE, "not active")


def slow_callbacks(readings: Mapping[str, Value]) -> list[str]:
    """The trouble of an executor that was busy for too long."""
    longest_ms = float(readings.get("callback max_ms", 0.0))
    if longest_ms < SLOW_CALLBACK_MS:
        return []
    return [f"a callback took {longest_ms / 1e3:.1f} s, meanwhile nothing was heard; look for load on this machine"]


def scalars(facts: Mapping[str, object]) -> dict[str, Value]:
    """The numbers and words among some facts, such as a node's summary."""
    return {name: value for name, value in facts.items() if isinstance(value, int | float | str)}


def memory_mb() -> float:
    """Resident memory of this process now, MB; where /proc is not there, its peak."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
    except (OSError, ValueError, IndexError):
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, 1)


def disk_free_bytes(folder: Path) -> int:
    """Of the disk that holds `folder`, or would."""
    there = next((path for path in (folder, *folder.absolute().parents) if path.exists()), Path("/"))
    return shutil.disk_usage(there).free


def full_disk(free_bytes: int) -> list[str]:
    """The trouble of a disk that fills up."""
    if free_bytes > LITTLE_DISK_BYTES:
        return []
    told = f"{free_bytes / 1e9:.2f} GB of disk left; free some, or the run ends when an episode cannot be kept"
    return [Grave(told) if free_bytes < NO_DISK_BYTES else told]


def _spread(name: str, found: Histogram) -> dict[str, Value]:
    return {
        f"{name} p50_ms": round(found.quantile_ms(0.5), 2),
        f"{name} p99_ms": round(found.quantile_ms(0.99), 2),
        f"{name} max_ms": round(found.max_ms, 2),
        f"{name} bins_ms": found.bins(),
    }
