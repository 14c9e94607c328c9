"""Caps the joint speeds that a tool step implies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from o2o_robot.errors import LimitError
from o2o_robot.safety.joint_position import largest_fraction
from o2o_robot.safety.joint_prediction import JointPrediction
from o2o_robot.safety.limit import Verdict, require_positive, shorten
from o2o_robot.safety.reason import Reason
from o2o_robot.types import ArmState, Array, Pose


@dataclass(frozen=True)
class SpeedEnvelope:
    """The joint speeds an arm allows at each position, all arrays (n,).

    upper(q) = min(max_rad_s, max(0, -offset + sqrt(2 deceleration (max_rad - q)))), and mirrored below: from any
    allowed speed the joint can still brake before its end stop. Franka publishes this form for the FR3 (control
    parameters, "position-based velocity limits"); with offset 0 it is plain braking distance.
    """

    min_rad: Array
    max_rad: Array
    max_rad_s: Array
    offset_rad_s: Array
    deceleration_rad_s2: Array

    def upper(self, q_rad: Array) -> Array:
        """The largest speed (n,) rad/s toward `max_rad`, >= 0; 0 at and beyond it."""
        return self._bound(self.max_rad - q_rad)

    def lower(self, q_rad: Array) -> Array:
        """The largest speed (n,) rad/s toward `min_rad`, given as a size, >= 0."""
        return self._bound(q_rad - self.min_rad)

    def _bound(self, distance_rad: Array) -> Array:
        braking = np.sqrt(2.0 * self.deceleration_rad_s2 * np.maximum(distance_rad, 0.0)) - self.offset_rad_s
        return np.clip(braking, 0.0, self.max_rad_s)


@dataclass(frozen=True)
class JointMotion:
    """Shortens the step until no joint needs more than its speed, over one command period.

    The bound is `scale` times the envelope's top speed, or the envelope itself where that is lower, taken where the
    step ends: never looser than where it starts. Acceleration and jerk are the controller's (a later limit here).
    """

    predict: JointPrediction
    envelope: SpeedEnvelope
    scale: float
    period_s: float

    def __post_init__(self) -> None:
        require_positive("period_s", self.period_s, "0.1 for a 10 Hz policy")
        require_positive("joint speed scale", self.scale, "0.5")
        if self.scale > 1.0:
            raise LimitError(
                f"joint speed scale must be at most 1, got {self.scale}; 0.5 is half the robot's top speed"
            )
        if np.shape(self.envelope.max_rad_s) != (self.predict.n_joints,) or not np.all(self.envelope.max_rad_s > 0):
            raise LimitError(
                f"joint speeds {np.asarray(self.envelope.max_rad_s).tolist()} rad/s must be {self.predict.n_joints} "
                "numbers > 0; take them from the same robot's table as the kinematics"
            )

    def __call__(self, target: Pose, state: ArmState) -> Verdict:
        motion_rad = self.predict(target, state)
        end_rad = state.q_rad + motion_rad
        most = self.scale * self.envelope.max_rad_s
        up = np.minimum(most, self.envelope.upper(end_rad)) * self.period_s
        down = np.minimum(most, self.envelope.lower(end_rad)) * self.period_s
        fraction = largest_fraction(motion_rad, down=down, up=up)
        if fraction == 1.0:
            return Verdict(target)
        return Verdict(shorten(target, state, translation=fraction, rotation=fraction), Reason.JOINT_MOTION)
