"""One line of the doctor's table: what was looked at, what was measured, what is allowed, what to do."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple


class Level(enum.IntEnum):
    """RED: do not move the arm. YELLOW: it moves, but worse than it could. UNKNOWN: it could not be measured here."""

    GREEN = 0
    UNKNOWN = 1
    YELLOW = 2
    RED = 3


class Finding(NamedTuple):
    """remedy is one sentence that says what to do; empty where there is nothing to do."""

    level: Level
    what: str
    measured: str
    allowed: str = ""
    remedy: str = ""


def graded(what: str, measured: str, allowed: str, remedy: str, *, red: bool, yellow: bool = False) -> Finding:
    """The finding at the worst level that holds; a green one keeps no remedy."""
    level = Level.RED if red else Level.YELLOW if yellow else Level.GREEN
    return Finding(level, what, measured, allowed, remedy if level is not Level.GREEN else "")


def unknown(what: str, why: str, remedy: str = "") -> Finding:
    """A check that had nothing to look at, and says why."""
    return Finding(Level.UNKNOWN, what, why, "", remedy)


def exit_code(findings: Iterable[Finding], *, strict: bool = False) -> int:
    """1 where a line is red, or, when strict, yellow; else 0."""
    worst = max((finding.level for finding in findings), default=Level.GREEN)
    return int(worst >= (Level.YELLOW if strict else Level.RED))
