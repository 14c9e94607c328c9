"""Caps how far one command may move and turn the tool."""

from __future__ import annotations

import math
from dataclasses import dataclass

from o2o_robot.safety.limit import Verdict, require_positive, shorten, twist_to
from o2o_robot.safety.reason import NONE, Reason
from o2o_robot.types import ArmState, Array, Pose


@dataclass(frozen=True)
class StepSize:
    """Shortens a step to `max_step_m` along its line, and to `max_rotation_rad` about its axis, each on its own.

    On its own: a tool that tilted a little in contact must not lose its translation while it is set upright.
    """

    max_step_m: float
    max_rotation_rad: float
    reason: Reason = Reason.STEP_SIZE

    def __post_init__(self) -> None:
        require_positive("max_step_m", self.max_step_m, "0.008 for 8 mm a command")
        require_positive("max_rotation_rad", self.max_rotation_rad, "0.05 a command")

    def __call__(self, target: Pose, state: ArmState) -> Verdict:
        twist = twist_to(target, state)
        translation = _fraction(_norm(twist[:3]), self.max_step_m)
        rotation = _fraction(_norm(twist[3:]), self.max_rotation_rad)
        if translation == rotation == 1.0:
            return Verdict(target, NONE)
        return Verdict(shorten(target, state, translation=translation, rotation=rotation), self.reason)


def tool_speed(max_m_s: float, max_rad_s: float, *, period_s: float) -> StepSize:
    """The same cap, stated as the tool's mean speed over one command period."""
    require_positive("max_speed_m_s", max_m_s, "0.25")
    require_positive("max_speed_rad_s", max_rad_s, "0.5")
    require_positive("period_s", period_s, "0.1 for a 10 Hz policy")
    return StepSize(max_m_s * period_s, max_rad_s * period_s, Reason.SPEED)


def _fraction(length: float, longest: float) -> float:
    return 1.0 if length <= longest else longest / length


def _norm(vector: Array) -> float:
    return math.sqrt(float(vector @ vector))
