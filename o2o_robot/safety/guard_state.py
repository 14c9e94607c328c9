"""The states of the guard, and when silence changes them."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from o2o_robot.errors import LimitError
from o2o_robot.safety.limit import require_positive


class GuardState(str, enum.Enum):
    """Where the guard stands. Commands move the arm in ARMED (which the first one turns into RUN) and in RUN only."""

    UNCONFIGURED = "UNCONFIGURED"
    IDLE = "IDLE"
    ARMED = "ARMED"
    RUN = "RUN"
    SOFT_STOP = "SOFT_STOP"
    LATCHED = "LATCHED"


@dataclass(frozen=True)
class GuardTimes:
    """When silence counts. In lockstep physics waits for the command, so nothing ages between commands: ticks then
    judge no ages, and "since receipt" is told by the simulated clock.

    hold_s: a command older than this is no longer followed; stop_s: then the episode is over; tick_gap_s: the guard
    itself came this late, late_s: and this late is counted; resume_s: how long causes must be gone before a new episode
    may start; stray_m: a held arm found this far from its hold pose was moved by something else, and is held where it
    is.
    """

    hold_s: float
    stop_s: float
    tick_gap_s: float
    resume_s: float = 0.5
    stray_m: float = 0.03
    lockstep: bool = False
    late_s: float = math.inf

    def __post_init__(self) -> None:
        require_positive("hold_s", self.hold_s, "0.15: 1.5 periods of a 10 Hz policy")
        require_positive("tick_gap_s", self.tick_gap_s, "0.05: five periods of a 100 Hz guard")
        if not self.stop_s > self.hold_s:
            raise LimitError(f"stop_s must be above hold_s={self.hold_s}, got {self.stop_s}; 0.3 at a 10 Hz policy")
        require_positive("stray_m", self.stray_m, "0.03")
        if not self.resume_s >= 0:
            raise LimitError(f"resume_after_s must be >= 0, got {self.resume_s}; 0.5 is usual")
