"""Judges a target by what it says about itself, before any arithmetic is done with it."""

from __future__ import annotations

import numpy as np

from o2o_robot.safety.reason import NONE, Reason
from o2o_robot.safety.state_watch import is_finite
from o2o_robot.types import ArmState, Pose


def why_unfit(target: Pose, state: ArmState) -> Reason:
    """What makes a target or a state unfit for arithmetic; asked before anything is clipped."""
    if not is_finite(state):
        return Reason.STATE_NOT_FINITE
    if np.shape(target.position_m) != (3,) or np.shape(target.quat_xyzw) != (4,):
        return Reason.SHAPE
    if not (np.isfinite(target.position_m).all() and np.isfinite(target.quat_xyzw).all()):
        return Reason.NOT_FINITE
    return Reason.QUATERNION if abs(np.linalg.norm(target.quat_xyzw) - 1.0) > 1e-3 else NONE


def normalised(target: Pose) -> Pose:
    """The same pose with a quaternion of unit norm."""
    norm = float(np.linalg.norm(target.quat_xyzw))
    return target if abs(norm - 1.0) < 1e-12 else Pose(target.position_m, target.quat_xyzw / norm)
