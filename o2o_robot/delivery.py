"""Each step once and in order: what the writer keeps about its readers, and what a reader lets in.

The wire is reliable while both ends live and see each other. A reader that was killed, stopped or cut off has missed
steps when it is back; it says how far it has come (StepAck), and the writer says the rest again from its spool.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass


class Entry(enum.Enum):
    """What a reader does with a step that came."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    GAP = "gap"
    FOREIGN = "foreign"


@dataclass
class Turnstile:
    """Lets the steps of one run through, each once and in order.

        turnstile = Turnstile(run=saved_run, expected=saved_number)
        if turnstile.take(run, number) is Entry.ACCEPTED: learn(step)

    run: id of the run, empty until the first step tells it. expected: the number that is due. A step whose run is empty
    is of a writer that keeps nothing: it passes uncounted. adopts_new: another run's step 0 begins that run.
    """

    run: str = ""
    expected: int = 0
    adopts_new: bool = False
    duplicates: int = 0
    gaps: int = 0
    foreign: int = 0

    def take(self, run: str, number: int) -> Entry:
        if not run:
            return Entry.ACCEPTED
        if not self.run or (run != self.run and self.adopts_new and number == 0):
            self.expected = self.expected if not self.run else 0
            self.run = run
        if run != self.run:
            self.foreign += 1
            return Entry.FOREIGN
        if number < self.expected:
            self.duplicates += 1
            return Entry.DUPLICATE
        if number > self.expected:
            self.gaps += 1
            return Entry.GAP
        self.expected += 1
        return Entry.ACCEPTED


@dataclass
class _Reader:
    """What one reader said last. since_s: how long it has stood there; said_to: up to where it was said again, 0: not.

    A reader that is on time, or that was told all there is, has said_to 0: what comes next reaches it by itself.
    """

    received: int
    durable: int
    heard_s: float
    since_s: float
    said_s: float = float("-inf")
    said_to: int = 0


class Ledger:
    """Who has which steps, by their acknowledgements, and what has to be said again.

        ledger = Ledger(["learner_node", "recorder_node"])
        again = ledger.acknowledged("learner_node", received=12, durable=0, head=40, now_s=clock())
        for number in again: publish(spool, number)
        spool.forget(before=ledger.durable)

    keepers: the readers that must have every step; others are answered too, but nothing is kept for them.
    window: steps said again at a time, so that the robot's loop is not held up. patience_s: a reader that has come no
    further than that long ago is stuck: what it lacks was lost on the way, and is not merely on it.
    """

    def __init__(self, keepers: Sequence[str], *, window: int = 50, patience_s: float = 0.5) -> None:
        self.keepers, self.window, self.patience_s = tuple(keepers), window, patience_s
        self.said_again = 0
        self._readers: dict[str, _Reader] = {}

    @property
    def durable(self) -> int:
        """Every keeper has all steps below this safe."""
        return min((self._readers[name].durable if name in self._readers else 0 for name in self.keepers), default=0)

    def acknowledged(self, reader: str, *, received: int, durable: int, head: int, now_s: float) -> range:
        """Numbers to say again now; none where the reader has all, or is coming along. head: the next new number."""
        known = self._readers.get(reader)
        restarted = known is None or received < known.received
        if known is None:
            known = self._readers[reader] = _Reader(received, durable, now_s, now_s)
        if received != known.received or received >= head:
            known.since_s = now_s
        known.received, known.durable, known.heard_s = received, durable, now_s
        if received >= head:
            known.said_to = 0
            return range(0)
        stuck = now_s - max(known.since_s, known.said_s) >= self.patience_s
        return self._again(known, head, now_s) if restarted or stuck or received >= known.said_to > 0 else range(0)

    def _again(self, known: _Reader, head: int, now_s: float) -> range:
        again = range(known.received, min(known.received + self.window, head))
        known.said_s, known.said_to = now_s, again.stop if again.stop < head else 0
        self.said_again += len(again)
        return again

    def lacking(self, head: int) -> dict[str, int]:
        """Keeper -> how many steps it has not received, of those that lack any."""
        missing = {name: head - (self._readers[name].received if name in self._readers else 0) for name in self.keepers}
        return {name: n for name, n in missing.items() if n > 0}

    def silent_s(self, reader: str, now_s: float) -> float:
        """How long ago a reader spoke; infinite where it never did."""
        return now_s - self._readers[reader].heard_s if reader in self._readers else float("inf")
