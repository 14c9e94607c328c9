"""Joint angles that put the simulated tool at a pose, to place the arm at reset (damped Gauss-Newton)."""

from __future__ import annotations

import numpy as np

from o2o_robot.errors import ArmError
from o2o_sim.engine import mujoco
from o2o_sim.joints import ArmJoints
from o2o_sim.rotation import rotation_between


def place_tool(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    position_m: np.ndarray,
    R: np.ndarray,
    *,
    joints: ArmJoints,
    posture_rad: np.ndarray,
) -> None:
    """Set the arm's joints in data.qpos so that site "tool" is at the pose within 1e-9 m and rad.

    Raises ArmError for a pose out of reach.
    """
    site, J = model.site("tool").id, np.zeros((6, model.nv))
    data.qpos[joints.q] = posture_rad
    for _ in range(60):
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        error = np.concatenate(
            [position_m - data.site_xpos[site], rotation_between(data.site_xmat[site].reshape(3, 3), R)]
        )
        if np.abs(error).max() < 1e-9:
            break
        mujoco.mj_jacSite(model, data, J[:3], J[3:], site)
        arm_J = J[:, joints.v]
        data.qpos[joints.q] += arm_J.T @ np.linalg.solve(arm_J @ arm_J.T + 1e-8 * np.eye(6), error)
    q_rad, (lower, upper) = data.qpos[joints.q], joints.range_rad.T
    if np.abs(error).max() > 1e-6 or (q_rad < lower).any() or (q_rad > upper).any():
        raise ArmError(
            f"no joint angles within limits put the tool at {np.round(position_m, 3)} m; choose a nearer start"
        )
