"""The last seconds of messages, bounded in time and in bytes, and what becomes of them when something stops the arm."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from o2o_robot.errors import ConfigError

HOUR_S = 3600.0
PATIENCE_S = 8.0  # of wall time beyond after_s, for the clock of the messages to get that far


@dataclass(frozen=True)
class BlackBoxRules:
    """before_s, after_s: kept around a stop, by the clock of the messages. most_bytes: of messages in hand.

    per_hour: boxes in any hour; a guard that flaps must not fill the disk. 0: no box is ever written. Lesser stops,
    which end by themselves, have at most half of them and are before_s apart: one that a person must look at is kept.
    """

    before_s: float = 30.0
    after_s: float = 2.0
    most_bytes: int = 64_000_000
    per_hour: int = 12

    def __post_init__(self) -> None:
        if not (0 < self.before_s <= 600 and 0 <= self.after_s <= 60):
            raise ConfigError(
                f"black_box.before_s is {self.before_s}, allowed above 0 to 600; after_s {self.after_s}, 0 to 60; "
                "30 and 2 are usual"
            )
        if self.most_bytes < 1_000_000 or self.per_hour < 0:
            raise ConfigError(
                f"black_box.most_bytes is {self.most_bytes}, at least 1000000; per_hour {self.per_hour}, at least 0"
            )


class Raw(NamedTuple):
    """A serialised message, and when it was heard by the clock of the messages."""

    topic: str
    cdr: bytes
    heard_ns: int


class Capture(NamedTuple):
    """A stop and what was heard around it. reasons: the first is why; later ones came while it was waited."""

    reasons: tuple[str, ...]
    stop_ns: int
    messages: tuple[Raw, ...]


class Ring:
    """Messages of the last `span_ns`, and never more than `most_bytes` of them: the oldest go first."""

    def __init__(self, span_ns: int, most_bytes: int) -> None:
        self.n_bytes = 0
        self._span_ns, self._most_bytes = span_ns, most_bytes
        self._held: deque[Raw] = deque()

    def add(self, raw: Raw) -> None:
        self._held.append(raw)
        self.n_bytes += len(raw.cdr)
        oldest_ns = raw.heard_ns - self._span_ns
        while self.n_bytes > self._most_bytes or self._held[0].heard_ns < oldest_ns:
            self.n_bytes -= len(self._held.popleft().cdr)
            if not self._held:
                return

    def since(self, oldest_ns: int) -> tuple[Raw, ...]:
        """What was heard from then on; where the clock was set back, what it calls later is there too."""
        return tuple(raw for raw in self._held if raw.heard_ns >= oldest_ns)


class BlackBox:
    """Takes every message, and hands out a Capture a little after each stop. now_ns is the clock of the messages,
    now_s a steady one: where the first stands still, the second ends the wait."""

    def __init__(self, rules: BlackBoxRules) -> None:
        self.taken = self.passed_over = 0
        self._rules = rules
        self._before_ns, self._after_ns = round(rules.before_s * 1e9), round(rules.after_s * 1e9)
        self._ring = Ring(self._before_ns + self._after_ns, rules.most_bytes)
        self._pending: _Pending | None = None
        self._taken_s: deque[float] = deque()

    @property
    def n_bytes(self) -> int:
        """Of messages in hand."""
        return self._ring.n_bytes

    @property
    def is_waiting(self) -> bool:
        """Whether a stop was seen whose capture is not out yet."""
        return self._pending is not None

    def add(self, topic: str, cdr: bytes, heard_ns: int) -> None:
        self._ring.add(Raw(topic, cdr, heard_ns))

    def stop(self, reason: str, now_ns: int, now_s: float, *, lesser: bool = False) -> None:
        """Something stopped the arm. A second reason while the first is waited on belongs to the same stop."""
        if self._pending is not None:
            self._pending.reasons.append(reason)
        elif self._may_take(now_s, lesser):
            self._pending = _Pending([reason], now_ns, now_s)
            self._taken_s.append(now_s)
        else:
            self.passed_over += 1

    def due(self, now_ns: int, now_s: float) -> Capture | None:
        """The capture, once `after_s` were heard after the stop."""
        waiting = self._pending
        if waiting is None:
            return None
        has_heard = now_ns - waiting.stop_ns >= self._after_ns
        gave_up = now_s - waiting.stop_s >= self._rules.after_s + PATIENCE_S
        return self.take() if has_heard or gave_up else None

    def take(self) -> Capture | None:
        """The capture as it is now, at the end of a run; None where no stop is waited on."""
        waiting, self._pending = self._pending, None
        if waiting is None:
            return None
        self.taken += 1
        reasons = tuple(dict.fromkeys(waiting.reasons))
        return Capture(reasons, waiting.stop_ns, self._ring.since(waiting.stop_ns - self._before_ns))

    def _may_take(self, now_s: float, lesser: bool) -> bool:
        while self._taken_s and now_s - self._taken_s[0] > HOUR_S:
            self._taken_s.popleft()
        if not lesser:
            return len(self._taken_s) < self._rules.per_hour
        is_apart = not self._taken_s or now_s - self._taken_s[-1] >= self._rules.before_s
        return is_apart and 2 * len(self._taken_s) < self._rules.per_hour


@dataclass
class _Pending:
    """A stop that was seen; more is being heard."""

    reasons: list[str]
    stop_ns: int
    stop_s: float
