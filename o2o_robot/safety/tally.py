"""Counts what the guard did, for the operator's screen and the run's summary."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from o2o_robot.safety.reason import NONE, Reason, names


class SafetySnapshot(NamedTuple):
    """What the guard thinks at one instant. Ages are infinite before the first command or state.

    reasons: active now. reason_names and reason_counts: every reason since the guard was built, and how often.
    commands: judged since then; interventions: of these, changed or refused.
    """

    state: str
    reasons: Reason
    reason_names: tuple[str, ...]
    reason_counts: tuple[int, ...]
    command_age_s: float
    state_age_s: float
    commands: int
    interventions: int


class Tally:
    """Counters per reason: once for each command it touched, and once for each onset between commands."""

    def __init__(self) -> None:
        self.commands = 0
        self.interventions = 0
        self.command_reasons = NONE
        self.tick_reasons = NONE
        self._counts: Counter[str] = Counter()

    def command(self, reasons: Reason) -> None:
        """One judged command and why it was changed or refused (no reasons: it was not)."""
        self.commands += 1
        self.interventions += bool(reasons)
        self.command_reasons = reasons
        self._counts.update(names(reasons))

    def tick(self, reasons: Reason) -> None:
        """What stands against motion at this tick; counted when it begins, not as long as it lasts."""
        self._counts.update(names(reasons & ~self.tick_reasons))
        self.tick_reasons = reasons

    def note(self, reasons: Reason) -> None:
        """Something that was refused beside commands and ticks."""
        self._counts.update(names(reasons))

    def counts(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Names of all reasons ever counted, in alphabetical order, and their counts."""
        known = sorted(self._counts)
        return tuple(known), tuple(self._counts[name] for name in known)
