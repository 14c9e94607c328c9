"""Slows a step toward a singular posture, where a small tool motion asks for a large joint motion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from o2o_robot.errors import LimitError
from o2o_robot.robot.kinematics import SerialArm
from o2o_robot.safety.joint_prediction import JointPrediction
from o2o_robot.safety.limit import Verdict, require_positive, shorten, twist_to
from o2o_robot.safety.reason import Reason
from o2o_robot.types import ArmState, Array, Pose

_PROBE_RAD = 1e-3
_STILL = 1e-12


class Condition:
    """The condition number of the tool's Jacobian. Remembers the joints last asked about."""

    def __init__(self, arm: SerialArm) -> None:
        self._arm = arm
        self._q_rad = np.full(arm.n_joints, np.nan)  # equal to nothing
        self._value = math.inf

    def at(self, q_rad: Array) -> float:
        if not np.array_equal(q_rad, self._q_rad):
            self._value = self.of(q_rad)
            self._q_rad = np.array(q_rad)
        return self._value

    def of(self, q_rad: Array) -> float:
        """The same, not remembered."""
        values = np.linalg.svd(self._arm.jacobian(q_rad), compute_uv=False)
        return float(values[0] / max(values[-1], 1e-12))


@dataclass(frozen=True)
class Singularity:
    """Caps a step that raises the Jacobian's condition number: whole below `slow`, nothing from `stop` on.

    The thresholds 17 and 30 and the linear fall between them are MoveIt Servo's (lower_singularity_threshold,
    hard_stop_singularity_threshold). A step that lowers the number, away from the singularity, is left alone.
    The cap counts from max_step_m and max_rotation_rad, not from what was asked: so its own answer it leaves alone.
    """

    predict: JointPrediction
    condition: Condition
    slow: float
    stop: float
    max_step_m: float
    max_rotation_rad: float

    def __post_init__(self) -> None:
        require_positive("slow_condition", self.slow, "17")
        if not self.stop > self.slow:
            raise LimitError(f"stop_condition must be above slow_condition={self.slow}, got {self.stop}; 30 is usual")

    def __call__(self, target: Pose, state: ArmState) -> Verdict:
        condition = self.condition.at(state.q_rad)
        if condition <= self.slow or self._is_leaving(target, state, condition):
            return Verdict(target)
        share = max(0.0, (self.stop - condition) / (self.stop - self.slow))
        twist = twist_to(target, state)
        size = max(_norm(twist[:3]) / self.max_step_m, _norm(twist[3:]) / self.max_rotation_rad)
        if size <= share + _STILL:
            return Verdict(target)
        fraction = share / size
        shorter = shorten(target, state, translation=fraction, rotation=fraction)
        return Verdict(shorter, Reason.JOINT_MOTION | Reason.SINGULARITY)

    def _is_leaving(self, target: Pose, state: ArmState, condition: float) -> bool:
        motion_rad = self.predict(target, state)
        size_rad = _norm(motion_rad)
        return size_rad < _STILL or self.condition.of(state.q_rad + motion_rad * (_PROBE_RAD / size_rad)) < condition


def _norm(vector: Array) -> float:
    return math.sqrt(float(vector @ vector))
