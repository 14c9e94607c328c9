"""The tool's pose out of the simulator's site, in our order and sign of quaternion."""

from __future__ import annotations

import numpy as np

from o2o_robot.types import Pose
from o2o_sim.engine import mujoco


def tool_pose(data: mujoco.MjData, site: int) -> Pose:
    """The pose of a site whose frame is up to date, base frame."""
    quat_wxyz = np.zeros(4)
    mujoco.mju_mat2Quat(quat_wxyz, data.site_xmat[site])
    return Pose(data.site_xpos[site].copy(), _xyzw(quat_wxyz))


def _xyzw(quat_wxyz: np.ndarray) -> np.ndarray:
    """With the sign that keeps a hand pointing down at (1, 0, 0, 0) rather than jumping to its negative."""
    w, x, y, z = quat_wxyz if quat_wxyz[np.argmax(np.abs(quat_wxyz))] > 0 else -quat_wxyz
    return np.array([x, y, z, w])
