"""Who may move the arm: emergency stop before hold before a person's device before the policy."""

from __future__ import annotations

from o2o_robot.safety.reason import NONE, Reason
from o2o_robot.types import Source


class Arbiter:
    """The emergency stop is the guard's latch, asked before this. Below it, a hold refuses everybody; a person who
    moved the teleop device keeps the arm until released, however still the device then is.

    reason = arbiter.judge(action.source)       # none: this source may move the arm
    arbiter.moved(action.source)                # and did
    """

    def __init__(self) -> None:
        self.is_human = False
        self.is_held = False

    def judge(self, source: Source) -> Reason:
        if self.is_held:
            return Reason.HOLD
        return Reason.TAKEOVER if self.is_human and source != Source.TELEOP else NONE

    def moved(self, source: Source) -> None:
        """A command of this source was followed."""
        self.is_human = self.is_human or source == Source.TELEOP

    def release(self) -> None:
        """The person hands back to the policy."""
        self.is_human = False
