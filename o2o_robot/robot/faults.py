"""Faults of an arm's streams, on purpose: what drivers, networks and clocks do on a bad day.

Messages go in one by one and come out altered, later, in another order, or never. Nothing here knows ROS: whoever
publishes passes each message through and publishes what comes out.
"""

from __future__ import annotations

import difflib
import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_robot.robot.fault_kinds import KINDS, Alter, Message

ALL = "*"


@dataclass(frozen=True)
class Fault:
    """One fault. stream "" and amount 0 stand for the kind's usual ones; "*" is every stream.

    duration_s: how long, by the clock of `Faults`; 0: until cleared. count: how many messages it meets; 0: no bound.
    """

    kind: str
    stream: str = ""
    amount: float = 0.0
    duration_s: float = 0.0
    count: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"no fault '{self.kind}'{_near(self.kind, KINDS)} (there are {', '.join(KINDS)})")
        if not (math.isfinite(self.amount) and math.isfinite(self.duration_s) and self.duration_s >= 0):
            raise ConfigError(
                f"fault {self.kind}: amount {self.amount} and duration_s {self.duration_s} must be finite"
            )
        if not 0 <= self.seed < 2**63 or self.count < 0:
            raise ConfigError(f"fault {self.kind}: seed {self.seed} and count {self.count} must be >= 0")
        kind = KINDS[self.kind]
        object.__setattr__(self, "stream", self.stream or kind.stream)
        object.__setattr__(self, "amount", self.amount or kind.amount)
        if not kind.allows(self.amount):
            raise ConfigError(f"fault {self.kind}: amount {self.amount:g} must be {kind.allowed}")


class Late(NamedTuple):
    """A message that is held back until `due_s`; `number` keeps the order of those due together."""

    due_s: float
    number: int
    message: Message


@dataclass(eq=False)
class _Running:
    fault: Fault
    since_s: float
    met: int = 0
    alters: dict[str, Alter] = field(default_factory=dict)

    def is_over(self, now_s: float) -> bool:
        fault = self.fault
        return bool((fault.duration_s and now_s - self.since_s >= fault.duration_s) or 0 < fault.count <= self.met)


class Faults:
    """The faults that are on, and what they make of each message.

    faults = Faults(("joint_states", "clock", "wrist"), clock=time.monotonic)
    faults.inject(Fault("drop", "joint_states", amount=0.5, seed=1))
    for message in faults.pass_on(Message("joint_states", stamp_ns, sample)): publish(message)
    for message in faults.due(): publish(message)       # now and then: what was late has arrived

    Faults meet a message in the order they were injected; the same seeds and messages give the same results.
    """

    def __init__(self, streams: Sequence[str], clock: Callable[[], float]) -> None:
        self._streams, self._clock = tuple(streams), clock
        self._running: list[_Running] = []
        self._late: list[Late] = []
        self._numbers = itertools.count()

    @property
    def is_quiet(self) -> bool:
        """Whether messages pass untouched, and none is under way."""
        return not self._running and not self._late

    def inject(self, fault: Fault) -> None:
        """Switch a fault on. Raises ConfigError where its stream is not one of these, or not one for its kind."""
        allowed = KINDS[fault.kind].streams or (*self._streams, ALL)
        if fault.stream not in allowed:
            near = _near(fault.stream, allowed)
            raise ConfigError(
                f"fault {fault.kind} cannot befall '{fault.stream}'{near}; it befalls {', '.join(allowed)}"
            )
        self._running.append(_Running(fault, self._clock()))

    def clear(self, kind: str = "") -> int:
        """Switch off all faults, or all of one kind; what is late stays late. Returns how many were on."""
        self._forget_what_is_over()
        ended = [one for one in self._running if kind in ("", one.fault.kind)]
        self._running = [one for one in self._running if one not in ended]
        return len(ended)

    def is_on(self, kind: str) -> bool:
        """Whether a fault of this kind is on now."""
        self._forget_what_is_over()
        return any(one.fault.kind == kind for one in self._running)

    def pass_on(self, message: Message) -> list[Message]:
        """What is to be published now instead of `message`: none, one or two messages."""
        self._forget_what_is_over()
        passing = [message]
        for one in self._running:
            passing = [after for before in passing for after in self._meet(one, before)]
        return [each for each in passing if not self._held_back(each)]

    def due(self) -> list[Message]:
        """The late ones whose time has come, in order."""
        arrived, now_s = [], self._clock()
        while self._late and self._late[0].due_s <= now_s:
            arrived.append(heapq.heappop(self._late).message)
        return arrived

    def _meet(self, one: _Running, message: Message) -> tuple[Message, ...]:
        if one.fault.stream not in (ALL, message.stream) or one.is_over(self._clock()):
            return (message,)
        if message.stream not in one.alters:
            place = self._streams.index(message.stream)
            rng = np.random.default_rng([one.fault.seed, place])
            one.alters[message.stream] = KINDS[one.fault.kind].make(one.fault.amount, rng)
        one.met += 1
        return one.alters[message.stream](message)

    def _held_back(self, message: Message) -> bool:
        if message.delay_s > 0:
            on_time = message._replace(delay_s=0.0)
            heapq.heappush(self._late, Late(self._clock() + message.delay_s, next(self._numbers), on_time))
        return message.delay_s > 0

    def _forget_what_is_over(self) -> None:
        now_s = self._clock()
        self._running = [one for one in self._running if not one.is_over(now_s)]


def _near(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""
