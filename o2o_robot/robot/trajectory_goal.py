"""Whether a joint trajectory's end was reached, as a joint trajectory controller judges it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from o2o_robot.robot.joint_path import JointPath
from o2o_robot.types import Array

NS = 1_000_000_000
USUAL_RAD, USUAL_S = 0.001, 3.0  # where a goal names none; crisp_py's is_homed asks for a milliradian


class Reached(Enum):
    """What is known of a goal so far."""

    UNDER_WAY = "under way"
    DONE = "done"
    MISSED = "missed"


@dataclass(frozen=True)
class TrajectoryGoal:
    """The end of a path: joints end_rad (n,) at the stamp end_ns, each within tolerance_rad (n,), patience_ns later."""

    names: tuple[str, ...]
    end_rad: Array
    end_ns: int
    tolerance_rad: Array
    patience_ns: int

    @classmethod
    def of(
        cls, path: JointPath, names: Sequence[str], tolerance_rad: Mapping[str, float], patience_s: float
    ) -> TrajectoryGoal:
        """tolerance_rad and patience_s as the goal message has them: 0 or missing is the usual, below 0 unlimited."""
        asked = [tolerance_rad.get(name, 0.0) or USUAL_RAD for name in names]
        allowed = np.array([np.inf if rad < 0 else rad for rad in asked])
        patience_ns = round((patience_s if patience_s > 0 else USUAL_S) * NS)
        return cls(tuple(names), path.q_rad[-1], int(path.at_ns[-1]), allowed, patience_ns)

    def judge(self, stamp_ns: int, q_rad: Array) -> Reached:
        """By joints (n,) of that stamp."""
        if stamp_ns < self.end_ns:
            return Reached.UNDER_WAY
        if (self._off_rad(q_rad) <= self.tolerance_rad).all():
            return Reached.DONE
        return Reached.UNDER_WAY if stamp_ns < self.end_ns + self.patience_ns else Reached.MISSED

    def fault(self, q_rad: Array) -> str:
        """The joint that is furthest out, in one line."""
        off_rad = self._off_rad(q_rad)
        worst = int(np.argmax(off_rad / self.tolerance_rad))
        return (
            f"{self.names[worst]} is {off_rad[worst]:.3f} rad from the trajectory's end, at most "
            f"{self.tolerance_rad[worst]:.3f} are allowed; look at what it touches, or give it more time"
        )

    def _off_rad(self, q_rad: Array) -> Array:
        return np.abs(q_rad - self.end_rad)
