"""Keeps other parts of the arm than the tool, elbow and wrist, on the inner side of planes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from o2o_robot.errors import LimitError
from o2o_robot.robot.kinematics import SerialArm
from o2o_robot.safety.half_spaces import Planes
from o2o_robot.safety.joint_position import largest_fraction
from o2o_robot.safety.joint_prediction import JointPrediction
from o2o_robot.safety.limit import Verdict, shorten
from o2o_robot.safety.limits_table import BodyPoint
from o2o_robot.safety.reason import Reason
from o2o_robot.types import ArmState, Array, Pose


class BodyPoints:
    """Where points of the arm's body are, and how joint motion moves them. Remembers the joints last asked about."""

    def __init__(self, arm: SerialArm, points: Sequence[BodyPoint]) -> None:
        wrong = [joint for joint, _ in points if not 0 <= joint < arm.n_joints]
        if wrong:
            raise LimitError(f"body points on joints {wrong}, this arm has joints 0 to {arm.n_joints - 1}")
        self._arm = arm
        self._joints = np.array([joint for joint, _ in points])
        self._offsets = np.array([[*offset, 1.0] for _, offset in points])
        self._turned_by = np.arange(arm.n_joints)[None, :] <= self._joints[:, None]  # (k, n)
        self._q_rad = np.full(arm.n_joints, np.nan)  # equal to nothing
        self._seen = (np.zeros((len(points), 3)), np.zeros((len(points), 3, arm.n_joints)))

    def at(self, q_rad: Array) -> tuple[Array, Array]:
        """Positions (k, 3) m in the base frame and their Jacobians (k, 3, n)."""
        if not np.array_equal(q_rad, self._q_rad):
            self._seen = self._look(q_rad)
            self._q_rad = np.array(q_rad)
        return self._seen

    def _look(self, q_rad: Array) -> tuple[Array, Array]:
        frames = self._arm.frames(q_rad)
        position_m = (frames[self._joints] @ self._offsets[:, :, None])[:, :3, 0]
        axes = frames[:-1, :3, 2].T  # (3, n)
        lever = position_m[:, :, None] - frames[:-1, :3, 3].T[None]
        jacobian = np.empty_like(lever)
        jacobian[:, 0] = axes[1] * lever[:, 2] - axes[2] * lever[:, 1]
        jacobian[:, 1] = axes[2] * lever[:, 0] - axes[0] * lever[:, 2]
        jacobian[:, 2] = axes[0] * lever[:, 1] - axes[1] * lever[:, 0]
        return position_m, jacobian * self._turned_by[:, None, :]


@dataclass(frozen=True)
class BodyInside:
    """Shortens the step until every point of the body, moved as the predicted joints move it, is inside all planes.

    To first order in the step: a step of 8 mm bends away from it by less than 0.2 mm. A point found outside may come
    back in but go no further out.
    """

    predict: JointPrediction
    points: BodyPoints
    planes: Planes

    def __call__(self, target: Pose, state: ArmState) -> Verdict:
        position_m, jacobian = self.points.at(state.q_rad)
        room = np.maximum(self.planes.offsets_m - position_m @ self.planes.normals.T, 0.0)
        outward = (jacobian @ self.predict(target, state)) @ self.planes.normals.T
        fraction = largest_fraction(outward, down=np.full_like(room, np.inf), up=room)
        if fraction == 1.0:
            return Verdict(target)
        return Verdict(shorten(target, state, translation=fraction, rotation=fraction), Reason.WORKSPACE | Reason.BODY)
