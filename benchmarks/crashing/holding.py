"""When an arm was held, from what was sent to it and where it was."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

ASKED_M = 0.002  # a target that changes by less asks for no motion: a hold that follows the arm's last millimetre
MOVED_M = 0.002
COMMAND_PERIOD_MS = 100
PERIODS = 2
CONTROLLER_MS = 300.0  # chosen: room for the impedance controller to come to rest at a target that stands still


class Moment(NamedTuple):
    """A position (3,) in metres, at `sent_ns` of the wall clock."""

    sent_ns: int
    position_m: np.ndarray


class Held(NamedTuple):
    """Milliseconds after the fault: of the last change of the target, of the tool's last motion, and how late the
    guard's own watch came at worst meanwhile (the machine's doing, not the guard's)."""

    target_ms: float
    tool_ms: float
    late_ms: float

    def in_time(self) -> bool:
        bound_ms = PERIODS * COMMAND_PERIOD_MS + self.late_ms
        return self.target_ms <= bound_ms and self.tool_ms <= bound_ms + CONTROLLER_MS


def held(targets: Sequence[Moment], tool: Sequence[Moment], at_ns: int, until_ns: int) -> Held:
    """What happened to the arm in the window [at_ns, until_ns] after a fault."""
    return Held(
        _last_change_ms(targets, at_ns, until_ns), _last_motion_ms(tool, at_ns, until_ns), _late_ms(targets, at_ns)
    )


def commands_after(targets: Sequence[Moment], at_ns: int, until_ns: int) -> int:
    """Targets sent in the window after a fault. In lockstep nothing moves without one, and one may be on its way."""
    return sum(at_ns < one.sent_ns <= until_ns for one in targets)


def save(path: Path, targets: Sequence[Moment], tool: Sequence[Moment], at_ns: int) -> None:
    """What was judged, for whoever wants to look: times in ms after the fault, positions in metres."""
    arrays = {}
    for name, series in (("targets", targets), ("tool", tool)):
        arrays[f"{name}_ms"] = np.array([(one.sent_ns - at_ns) / 1e6 for one in series])
        arrays[f"{name}_m"] = np.array([one.position_m for one in series])
    np.savez_compressed(path, **arrays)


def _last_change_ms(targets: Sequence[Moment], at_ns: int, until_ns: int) -> float:
    """The last target that differs from the one before it, 0 where none came after the fault."""
    last_ns = at_ns
    for before, after in pairwise(targets):
        if at_ns < after.sent_ns <= until_ns and np.linalg.norm(after.position_m - before.position_m) > ASKED_M:
            last_ns = after.sent_ns
    return (last_ns - at_ns) / 1e6


def _last_motion_ms(tool: Sequence[Moment], at_ns: int, until_ns: int) -> float:
    """The last moment at which the tool was not yet where the window leaves it."""
    window = [one for one in tool if at_ns < one.sent_ns <= until_ns]
    moving = [one for one in window if np.linalg.norm(one.position_m - window[-1].position_m) > MOVED_M]
    return (moving[-1].sent_ns - at_ns) / 1e6 if moving else 0.0


def _late_ms(targets: Sequence[Moment], at_ns: int) -> float:
    """The longest silence of the guard's tick in the half second after the fault, beyond a tick's 10 ms; 0 if it died.

    A guard that is dead, or stands still, is not late: the controller below it holds.
    """
    stamps = [one.sent_ns for one in targets if at_ns - 50_000_000 < one.sent_ns <= at_ns + 500_000_000]
    gaps = np.diff(stamps) / 1e6
    return float(max(0.0, gaps.max() - 10.0)) if len(gaps) else 0.0
