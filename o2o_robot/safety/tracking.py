"""Notices an arm that does not go where it is told: blocked, held by a hand, or a controller that has stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from o2o_robot.robot.rotation import rotation_vector
from o2o_robot.safety.limit import require_positive
from o2o_robot.safety.reason import NONE, Reason
from o2o_robot.safety.watchdog import Watchdog
from o2o_robot.types import ArmState, Pose


@dataclass(frozen=True)
class TrackingRules:
    """The tool may be `max_m` and `max_rad` from its reference, further for at most `for_s`."""

    max_m: float
    max_rad: float
    for_s: float

    def __post_init__(self) -> None:
        require_positive("max_tracking_m", self.max_m, "0.03")
        require_positive("max_tracking_rad", self.max_rad, "0.15")
        require_positive("tracking_s", self.for_s, "0.1")


class TrackingWatch:
    """Remembers when the arm was last near its reference. The guard then takes the measured pose for its reference, so
    that it is not wound up behind a contact."""

    def __init__(self, rules: TrackingRules, clock: Callable[[], float]) -> None:
        self._rules = rules
        self._near = Watchdog(rules.for_s, clock)

    def judge(self, reference: Pose | None, state: ArmState) -> Reason:
        """The reason to take the measured pose as the reference, or none. No reference yet: none to be far from."""
        if reference is None or self._is_near(reference, state):
            self._near.feed()
        return Reason.TRACKING if self._near.expired else NONE

    def _is_near(self, reference: Pose, state: ArmState) -> bool:
        error_m = reference.position_m - state.tool.position_m
        if float(error_m @ error_m) > self._rules.max_m**2:
            return False
        turn_rad = rotation_vector(reference.quat_xyzw, state.tool.quat_xyzw)
        return bool(np.sqrt(turn_rad @ turn_rad) <= self._rules.max_rad)
