"""Foresees the joint motion of a tool step."""

from __future__ import annotations

import numpy as np

from o2o_robot.robot.kinematics import SerialArm
from o2o_robot.safety.limit import twist_to
from o2o_robot.types import ArmState, Array, Pose


class JointPrediction:
    """The joint motion (n,) rad of the step to a target, to first order; linear in the step.

    Remembers its matrix for the joint positions last asked about, and the motion of the last step: several limits ask
    about the same one.
    """

    def __init__(self, arm: SerialArm) -> None:
        self.n_joints = arm.n_joints
        self._arm = arm
        self._q_rad = np.full(arm.n_joints, np.nan)  # equal to nothing
        self._map = np.zeros((arm.n_joints, 6))
        self._step: tuple[Pose, ArmState] | None = None
        self._motion_rad = np.zeros(arm.n_joints)

    def __call__(self, target: Pose, state: ArmState) -> Array:
        if self._step is None or self._step[0] is not target or self._step[1] is not state:
            self._motion_rad = self.map_at(state.q_rad) @ twist_to(target, state)
            self._motion_rad.setflags(write=False)
            self._step = (target, state)
        return self._motion_rad

    def map_at(self, q_rad: Array) -> Array:
        """From a small tool motion to the joints' at these joint positions, (n, 6)."""
        if not np.array_equal(q_rad, self._q_rad):
            self._map = self._arm.joint_map(q_rad)
            self._q_rad = np.array(q_rad)
        return self._map
