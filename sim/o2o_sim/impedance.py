"""Cartesian impedance control of the simulated arm, by joint torques.

Operational-space form (Khatib, IEEE J. Robotics and Automation 1987): tau = bias + J^T Lambda a + N (posture), with
a = a_ref + w^2 e + 2 z w de: the tool behaves as a damped spring about a reference that it also feeds forward.
J and Lambda are refreshed every few substeps (the arm turns by under 0.02 rad in between); errors are always fresh.
"""

from __future__ import annotations

import numpy as np

from o2o_sim.config import ImpedanceConfig
from o2o_sim.engine import mujoco
from o2o_sim.joints import ArmJoints
from o2o_sim.reference import Reference
from o2o_sim.rotation import rotation_between

REFRESH_SUBSTEPS = 5
_SINGULARITY_DAMPING = 1e-5  # kg^-1 and (kg m^2)^-1; keeps Lambda finite where the arm is stretched


class CartesianImpedance:
    """Torques (n,) that pull the site "tool" to a reference; gravity and Coriolis are compensated exactly.

    Only the arm's own n joints are counted: a gripper's fingers are taken as locked, what it holds as a disturbance.
    """

    def __init__(
        self, model: mujoco.MjModel, config: ImpedanceConfig, joints: ArmJoints, posture_rad: np.ndarray
    ) -> None:
        self._model, self._config, self.posture_rad = model, config, posture_rad
        self.posture_gains = config.posture_nm_rad, config.posture_nms_rad
        self._q, self._v = joints.q, joints.v
        self._site = model.site("tool").id
        w = np.repeat([config.position_rad_s, config.rotation_rad_s], 3)
        self._stiffness, self._damping = w**2, 2 * config.damping_ratio * w
        n = len(posture_rad)
        self._J_world = np.zeros((6, model.nv))
        self._J_position, self._J_rotation = self._J_world[:3], self._J_world[3:]
        self._M_world = np.zeros((model.nv, model.nv))
        self._J = np.zeros((6, n))
        self._force_map = np.zeros((n, 6))
        self._to_tool_wrench = np.zeros((6, n))
        self._posture_map = np.zeros((n, n))
        self._error = np.zeros(6)

    def refresh(self, data: mujoco.MjData) -> None:
        """Take Jacobian and inertia from the arm's present posture."""
        mujoco.mj_jacSite(self._model, data, self._J_position, self._J_rotation, self._site)
        mujoco.mj_fullM(self._model, data, self._M_world)
        self._J, M = self._J_world[:, self._v], self._M_world[self._v, self._v]
        J_Minv = np.linalg.solve(M, self._J.T).T
        mobility = J_Minv @ self._J.T
        mobility.flat[::7] += _SINGULARITY_DAMPING
        self._to_tool_wrench = np.linalg.solve(mobility, J_Minv)
        self._force_map = self._J.T @ np.linalg.inv(mobility)
        self._posture_map = np.eye(len(M)) - self._J.T @ self._to_tool_wrench

    def torque(self, data: mujoco.MjData, goal_m: np.ndarray, goal_R: np.ndarray, reference: Reference) -> np.ndarray:
        """Joint torques (n,) toward the goal plus the reference's offset, following its rate and acceleration (6,)."""
        error, limit = self._error, self._config.max_error_m
        error[:3] = goal_m - data.site_xpos[self._site]
        error[3:] = rotation_between(data.site_xmat[self._site].reshape(3, 3), goal_R)
        error += reference.offset
        length = float(error[:3] @ error[:3]) ** 0.5
        if length > limit:  # a blocked arm pushes with a bounded force
            error[:3] *= limit / length
        q_rad, dq_rad = data.qpos[self._q], data.qvel[self._v]
        a = reference.acceleration + self._stiffness * error + self._damping * (reference.rate - self._J @ dq_rad)
        nm_rad, nms_rad = self.posture_gains
        posture = nm_rad * (self.posture_rad - q_rad) - nms_rad * dq_rad
        return data.qfrc_bias[self._v] + self._force_map @ a + self._posture_map @ posture

    def tool_wrench(self, external_nm: np.ndarray) -> np.ndarray:
        """The wrench (6,) of the world on the tool, base frame, that external joint torques (n,) amount to."""
        return self._to_tool_wrench @ external_nm
