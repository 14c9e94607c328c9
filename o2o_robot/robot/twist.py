"""The tool velocity that takes a measured pose to a target: for controllers that take twists, such as MoveIt Servo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from o2o_robot.errors import LimitError
from o2o_robot.robot.rotation import rotation_vector
from o2o_robot.types import Array, Pose

ZERO = np.zeros(6)
ZERO.setflags(write=False)


@dataclass(frozen=True)
class TwistToward:
    """Velocity toward a target: the pose's error over `reach_s`, shortened to the speeds allowed.

    Within near_m and near_rad of the target it is exactly zero, so that an arm told to hold is told so, rather than
    to chase its encoders' noise. Direction is kept: linear and angular parts are each scaled as a whole.
    """

    reach_s: float = 0.1
    max_m_s: float = 0.25
    max_rad_s: float = 0.5
    near_m: float = 0.0003
    near_rad: float = 0.001

    def __post_init__(self) -> None:
        for name in ("reach_s", "max_m_s", "max_rad_s", "near_m", "near_rad"):
            if not (np.isfinite(value := getattr(self, name)) and value > 0):
                raise LimitError(f"{name} must be > 0, got {value}; {getattr(TwistToward, name)} is usual")

    def __call__(self, target: Pose, tool: Pose) -> Array:
        """(6,) in the base frame: m/s, then rad/s."""
        shift_m = target.position_m - tool.position_m
        turn_rad = rotation_vector(tool.quat_xyzw, target.quat_xyzw)
        if np.linalg.norm(shift_m) < self.near_m and np.linalg.norm(turn_rad) < self.near_rad:
            return ZERO.copy()
        linear, angular = shift_m / self.reach_s, turn_rad / self.reach_s
        return np.concatenate([_at_most(self.max_m_s, linear), _at_most(self.max_rad_s, angular)])


def _at_most(longest: float, vector: Array) -> Array:
    return vector * min(1.0, longest / max(float(np.linalg.norm(vector)), 1e-12))
