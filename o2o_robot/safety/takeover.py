"""A person's device beside a policy: which of the two answers the policy's next proposal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from o2o_robot.errors import LimitError
from o2o_robot.safety.command_check import CommandRules, judge_values
from o2o_robot.safety.reason import NONE, Reason
from o2o_robot.types import Action, Source

RESUMES = ("release", "silence")


@dataclass(frozen=True)
class TakeoverRules:
    """resume_after: what gives the arm back to the policy. `release`: the device alone, by an action without values;
    `silence`: a device that is silent for the command's greatest age, too.
    """

    resume_after: str = "release"

    def __post_init__(self) -> None:
        if self.resume_after not in RESUMES:
            raise LimitError(f"resume_after_teleop is '{self.resume_after}' (there are {', '.join(RESUMES)})")


class Takeover:
    """Keeps the newest action of a person's device. While that is fresh, by its stamp and by its receipt (`clock`,
    steady s), the person has the arm: a proposal of the policy keeps its stamp and order, with the person's values.

    reason = takeover.hear(action, now_ns)          # each of the device's; empty values: released
    asked = takeover.answer(proposed, now_ns)       # each of the policy's
    """

    def __init__(self, rules: TakeoverRules, commands: CommandRules, clock: Callable[[], float]) -> None:
        self._rules, self._commands, self._clock = rules, commands, clock
        self._newest: Action | None = None
        self._heard_s = 0.0

    def hear(self, action: Action, now_ns: int) -> Reason:
        """One action of the device; the reason against it, or none: then it is the newest. Refused whole, or taken."""
        reason = self._judge(action, now_ns)
        if not reason:
            self._newest = action if np.size(action.values) else None
            self._heard_s = self._clock()
        return reason

    @property
    def has_values(self) -> bool:
        """Whether the last that was heard is a motion, and not a release."""
        return self._newest is not None

    def is_fresh(self, now_ns: int) -> bool:
        """Whether a person has the arm now."""
        if self._newest is None:
            return False
        age_s = max((now_ns - self._newest.stamp_ns) * 1e-9, self._clock() - self._heard_s)
        return age_s <= self._commands.max_age_s

    def answer(self, proposed: Action, now_ns: int) -> Action:
        """What is to be judged in answer to a proposal: itself, or the person's values in its place."""
        if self._newest is None or not self.is_fresh(now_ns):
            return proposed
        return replace(proposed, values=self._newest.values, source=Source.TELEOP)

    def fell_silent(self, now_ns: int) -> bool:
        """Whether the device moved the arm and stopped speaking without a release."""
        return self._newest is not None and not self.is_fresh(now_ns)

    def gives_back(self, now_ns: int) -> bool:
        """Whether that silence is enough for the policy to go on."""
        return self._rules.resume_after == "silence" and self.fell_silent(now_ns)

    def _judge(self, action: Action, now_ns: int) -> Reason:
        age_s = (now_ns - action.stamp_ns) * 1e-9
        if age_s < -self._commands.max_future_s:
            return Reason.FUTURE_STAMP
        if age_s > self._commands.max_age_s:
            return Reason.STALE_COMMAND
        if np.size(action.values) and (reason := judge_values(action.values, self._commands.n_values)):
            return reason
        last = self._newest
        if last is None or not self.is_fresh(now_ns):
            return NONE  # a device that was plugged in again counts from one
        if action.stamp_ns < last.stamp_ns:
            return Reason.BACKWARD_STAMP
        return Reason.SEQUENCE if action.seq <= last.seq else NONE
