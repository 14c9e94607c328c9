"""What measured force allows: above a soft limit no further into the contact, above a hard limit nothing.

The wrench is the force (N) that the world puts on the tool, in the base frame. A driver that reports the opposite sign
or another frame converts before it fills ArmState. Without a sensor (`wrench is None`) neither says anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from o2o_robot.safety.limit import Verdict, require_positive
from o2o_robot.safety.reason import NONE, Reason
from o2o_robot.types import ArmState, Pose

_ROUNDING_M = 1e-9


@dataclass(frozen=True)
class SoftForce:
    """Above `soft_n`, takes out of the step the part that pushes against the force; sliding and retreat stay free."""

    soft_n: float

    def __post_init__(self) -> None:
        require_positive("soft_force_n", self.soft_n, "20 N")

    def __call__(self, target: Pose, state: ArmState) -> Verdict:
        force_n = force_size_n(state)
        if state.wrench is None or force_n <= self.soft_n:
            return Verdict(target)
        away = state.wrench[:3] / force_n
        along_m = float((target.position_m - state.tool.position_m) @ away)
        if along_m >= -_ROUNDING_M:
            return Verdict(target)
        return Verdict(Pose(target.position_m - along_m * away, target.quat_xyzw), Reason.FORCE)


@dataclass(frozen=True)
class HardForce:
    """Above `hard_n` the guard latches: something is wrong that no policy should work its way out of."""

    hard_n: float

    def __post_init__(self) -> None:
        require_positive("hard_force_n", self.hard_n, "45 N")

    def __call__(self, state: ArmState) -> Reason:
        return Reason.FORCE_HARD if force_size_n(state) > self.hard_n else NONE


def force_size_n(state: ArmState) -> float:
    """The size of the measured force, N; 0 without a sensor."""
    if state.wrench is None:
        return 0.0
    force = state.wrench[:3]
    return math.sqrt(float(force @ force))
