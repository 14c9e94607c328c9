"""Foresees the joint motion of a tool step."""

from __future__ import annotations

import numpy as np

from o2o_robot.robot.kinematics import SerialArm
from o2o_robot.safety.limit import twist_to
from o2o_robot.types import ArmState, Array, Pose


class JointPrediction:
    """The joint motion (n,) rad of the step to a target, to first order; linear in the step.

    Remembers its matrix for the joint positions last asked about: the guard asks four times at each.
    """

    def __init__(self, arm: SerialArm) -> None:
        self.n_joints = arm.n_joints
        self._arm = arm
        self._q_rad = np.full(arm.n_joints, np.nan)  # equal to nothing
        self._map = np.zeros((arm.n_joints, 6))

    def __call__(self, target: Pose, state: ArmState) -> Array:
        if not np.array_equal(state.q_rad, self._q_rad):
            self._map = self._arm.joint_map(state.q_rad)
            self._q_rad = np.array(state.q_rad)
        return self._map @ twist_to(target, state)
