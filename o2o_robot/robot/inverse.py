"""Joint positions for a tool pose: damped Gauss-Newton steps from where the joints are, within their limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from o2o_robot.errors import ArmError, LimitError
from o2o_robot.robot.kinematics import SerialArm
from o2o_robot.robot.rotation import rotation_vector
from o2o_robot.types import Array, Pose

MAX_STEP_M, MAX_STEP_RAD = 0.05, 0.2  # of one Gauss-Newton step; beyond, its linear picture of the arm is wrong
STEPS = 40


@dataclass(frozen=True)
class InverseKinematics:
    """Finds the joint positions nearest to given ones that put the tool at a pose.

    Each step is the least-norm one, so a redundant arm does not move its elbow for its own sake, just as the guard's
    prediction takes it. A joint whose step would pass its limit stays, and the others do the rest. min_rad and max_rad
    have shape (n_joints,); a solution is within tolerance_m and tolerance_rad of the pose.

    inverse = InverseKinematics(fr3(), min_rad, max_rad)
    q_rad = inverse(target, near_rad=state.q_rad)
    """

    kinematics: SerialArm
    min_rad: Array
    max_rad: Array
    tolerance_m: float = 1e-5
    tolerance_rad: float = 1e-4
    damping: float = 0.01

    def __post_init__(self) -> None:
        n = self.kinematics.n_joints
        if np.shape(self.min_rad) != (n,) or np.shape(self.max_rad) != (n,):
            raise LimitError(f"joint limits of shape {np.shape(self.min_rad)}, this arm has {n} joints; give one each")
        if not (np.asarray(self.min_rad) < np.asarray(self.max_rad)).all():
            raise LimitError(f"min_rad {self.min_rad} must lie below max_rad {self.max_rad} for every joint")
        if not (self.tolerance_m > 0 and self.tolerance_rad > 0 and self.damping > 0):
            raise LimitError("tolerance_m, tolerance_rad and damping must be > 0; try 1e-5, 1e-4, 0.01")

    def __call__(self, target: Pose, *, near_rad: Array) -> Array:
        """Joint positions (n,) rad within the limits. Raises ArmError where none near `near_rad` reach the pose."""
        q_rad = np.clip(near_rad, self.min_rad, self.max_rad)
        for _ in range(STEPS):
            error = self._error(q_rad, target)
            if self._is_small(error):
                return q_rad
            q_rad = self._step(q_rad, error)
        raise ArmError(
            f"no joints within limits near {np.round(near_rad, 2).tolist()} rad put the tool at "
            f"{np.round(target.position_m, 3).tolist()} m, {np.linalg.norm(error[:3]) * 1e3:.1f} mm remain; "
            "tighten the workspace, or start from another posture"
        )

    def _error(self, q_rad: Array, target: Pose) -> Array:
        """From the tool at q_rad to the target, base frame, (6,): metres, then a rotation vector."""
        tool = self.kinematics.fk(q_rad)
        turn_rad = rotation_vector(tool.quat_xyzw, target.quat_xyzw)
        return np.concatenate([target.position_m - tool.position_m, turn_rad])

    def _is_small(self, error: Array) -> bool:
        return bool(np.linalg.norm(error[:3]) < self.tolerance_m and np.linalg.norm(error[3:]) < self.tolerance_rad)

    def _step(self, q_rad: Array, error: Array) -> Array:
        far = max(np.linalg.norm(error[:3]) / MAX_STEP_M, np.linalg.norm(error[3:]) / MAX_STEP_RAD, 1.0)
        jacobian, free = self.kinematics.jacobian(q_rad), np.ones(len(q_rad), bool)
        while True:
            step_rad = self._least_norm(jacobian * free, error / far)
            wanted = q_rad + step_rad
            stopped = free & ((wanted < self.min_rad) | (wanted > self.max_rad))
            if not stopped.any():
                return wanted
            free &= ~stopped  # what stands at its limit takes no part; each turn of this loop stops one joint at least

    def _least_norm(self, jacobian: Array, error: Array) -> Array:
        gram = jacobian @ jacobian.T
        gram.flat[::7] += self.damping**2 * min(1.0, float(np.linalg.norm(error)) / 0.01)
        gram.flat[::7] += 1e-9
        return jacobian.T @ np.linalg.solve(gram, error)
