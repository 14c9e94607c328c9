"""Judges whether the arm's state is fresh, alive and believable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from o2o_robot.errors import LimitError
from o2o_robot.safety.limit import require_positive
from o2o_robot.safety.reason import NONE, Reason
from o2o_robot.safety.watchdog import Watchdog
from o2o_robot.types import ArmState, Array


@dataclass(frozen=True)
class StateTimes:
    """How old a state may be before motion stops, before the guard latches, and how long its joints may not change.

    frozen_s: real encoders always flicker; values that are bit-equal under new stamps come from a dead driver. 0: off,
    for a simulator at rest.
    """

    stop_s: float
    latch_s: float
    frozen_s: float
    future_s: float

    def __post_init__(self) -> None:
        require_positive("state_stop_s", self.stop_s, "0.03 for a 100 Hz driver")
        require_positive("max_future_s", self.future_s, "0.02")
        if not self.latch_s > self.stop_s:
            raise LimitError(
                f"state_latch_s must be above state_stop_s={self.stop_s}, got {self.latch_s}; 0.2 is usual"
            )
        if not self.frozen_s >= 0:
            raise LimitError(f"frozen_state_s must be >= 0, got {self.frozen_s}; 0 switches it off")


class StateWatch:
    """Keeps what is needed to tell a new state from the same one again.

    The age of a state is the larger of two: by its stamp (ROS clock), and since a new stamp was last seen
    (`clock`, steady seconds). A driver that died and one whose stamps stand still look the same, and are.
    """

    def __init__(self, times: StateTimes, clock: Callable[[], float]) -> None:
        self._times = times
        self._news = Watchdog(times.stop_s, clock)
        self._changes = Watchdog(times.frozen_s or 1.0, clock)
        self._stamp_ns: int | None = None
        self._joints: Array | None = None

    @property
    def age_s(self) -> float:
        """Seconds since a state with a new stamp came in; infinite before the first."""
        return self._news.age_s

    def judge(self, now_ns: int, state: ArmState, *, ages: bool = True) -> Reason:
        """The reasons against this state at ROS time `now_ns`. Without `ages` (lockstep ticks) time is left out."""
        if not is_finite(state):
            return Reason.STATE_NOT_FINITE
        backward = self._stamp_ns is not None and state.stamp_ns < self._stamp_ns
        self._note(state)
        if backward:
            return Reason.BACKWARD_STAMP
        return self._judge_age(now_ns, state) if ages else NONE

    def _note(self, state: ArmState) -> None:
        if state.stamp_ns != self._stamp_ns:
            self._stamp_ns = state.stamp_ns
            self._news.feed()
        joints = np.concatenate([state.q_rad, state.dq_rad])
        if self._joints is None or not np.array_equal(joints, self._joints):
            self._joints = joints
            self._changes.feed()

    def _judge_age(self, now_ns: int, state: ArmState) -> Reason:
        stamp_age_s = (now_ns - state.stamp_ns) * 1e-9
        if stamp_age_s < -self._times.future_s:
            return Reason.FUTURE_STAMP
        age_s = max(stamp_age_s, self._news.age_s)
        if age_s > self._times.latch_s:
            return Reason.STATE_LOST
        if age_s > self._times.stop_s:
            return Reason.STALE_STATE
        if self._times.frozen_s and self._changes.expired:
            return Reason.FROZEN_STATE
        return NONE


def is_finite(state: ArmState) -> bool:
    """Whether every number of the state is finite; asked before any arithmetic, since np.clip lets NaN through."""
    parts = [state.q_rad, state.dq_rad, state.tool.position_m, state.tool.quat_xyzw]
    if state.wrench is not None:
        parts.append(state.wrench)
    return bool(np.isfinite(np.concatenate(parts)).all() and np.isfinite(state.gripper_m))
