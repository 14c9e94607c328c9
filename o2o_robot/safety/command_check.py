"""Judges a command by what it says about itself: its numbers, its stamp, its order, who sent it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from o2o_robot.errors import LimitError
from o2o_robot.safety.arbiter import Arbiter
from o2o_robot.safety.limit import require_positive
from o2o_robot.safety.reason import NONE, Reason
from o2o_robot.types import Action, Array, Source

_ROUNDING = 1e-6


@dataclass(frozen=True)
class CommandRules:
    """n_values each in [-1, 1]; the observation answered is at most `max_age_s` old and `max_future_s` ahead."""

    n_values: int
    max_age_s: float
    max_future_s: float

    def __post_init__(self) -> None:
        require_positive("max_observation_age_s", self.max_age_s, "0.25 for a 10 Hz policy")
        require_positive("max_future_s", self.max_future_s, "0.02")
        if self.n_values < 1:
            raise LimitError(f"n_values must be >= 1, got {self.n_values}; 3 for a tool displacement")


class CommandCheck:
    """Remembers each source's last command. A command is taken whole or refused whole; the first failure wins.

    Sequence numbers and stamps must go forward and revisions not back, within an episode; `forget` starts anew.
    A person who moves the teleop device takes over: see Arbiter.
    """

    def __init__(self, rules: CommandRules) -> None:
        self._rules = rules
        self.arbiter = Arbiter()
        self.forget()

    def forget(self) -> None:
        """A new episode: any first sequence number, stamp and revision is accepted, and nobody has taken over."""
        self._last: dict[Source, Action] = {}
        self.arbiter.release()

    def judge(self, now_ns: int, action: Action) -> Reason:
        """The reason against this command, or none: then it is remembered as the last of its source."""
        reason = self._judge_stamp(now_ns, action) or judge_values(action.values, self._rules.n_values)
        reason = reason or self._judge_order(action)
        if not reason:
            self._last[action.source] = action
            self.arbiter.moved(action.source)
        return reason

    def _judge_stamp(self, now_ns: int, action: Action) -> Reason:
        age_s = (now_ns - action.stamp_ns) * 1e-9
        last = self._last.get(action.source)
        if age_s < -self._rules.max_future_s:
            return Reason.FUTURE_STAMP
        if last is not None and action.stamp_ns < last.stamp_ns:
            return Reason.BACKWARD_STAMP
        return Reason.STALE_COMMAND if age_s > self._rules.max_age_s else NONE

    def _judge_order(self, action: Action) -> Reason:
        last = self._last.get(action.source)
        if last is not None and action.seq <= last.seq:
            return Reason.SEQUENCE
        if last is not None and action.revision < last.revision:
            return Reason.REVISION
        return self.arbiter.judge(action.source)


def judge_values(values: Array, n_values: int) -> Reason:
    """What makes an action's numbers unfit: their count first, since nothing is computed with a million of them."""
    if np.shape(values) != (n_values,):
        return Reason.SHAPE
    if not np.isfinite(values).all():
        return Reason.NOT_FINITE
    return Reason.RANGE if np.abs(values).max() > 1.0 + _ROUNDING else NONE
