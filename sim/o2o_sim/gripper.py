"""The gripper of the simulated arm: one number, its opening."""

from __future__ import annotations

import numpy as np

from o2o_robot.errors import ArmError
from o2o_sim.engine import mujoco
from o2o_sim.robots import GripperModel


class Gripper:
    """Drives a model's gripper toward an opening at its own speed. The goal lives here, everything else in MjData."""

    def __init__(self, model: mujoco.MjModel, names: GripperModel) -> None:
        self._names = names
        self._q = np.array([model.joint(name).qposadr[0] for name in names.joints])
        self._motor = model.actuator(names.actuator).id
        self._ctrl_per_m = (names.ctrl_open - names.ctrl_closed) / names.open_m
        self._m_per_q = names.open_m / (names.open_at - names.closed_at)
        self.open_m = self.goal_m = names.open_m

    def reset(self, data: mujoco.MjData) -> None:
        """Open, at once."""
        data.qpos[self._q] = self._names.open_at
        data.ctrl[self._motor] = self._names.ctrl_open
        self.goal_m = self._names.open_m

    def aim(self, opening_m: float) -> None:
        """Make `opening_m` where the pads go as time passes. Raises ArmError for what it cannot open to."""
        if not 0.0 <= opening_m <= self._names.open_m + 1e-9:
            raise ArmError(f"gripper asked to open to {opening_m} m; it opens from 0 to {self._names.open_m} m")
        self.goal_m = opening_m

    def drive(self, data: mujoco.MjData, dt_s: float) -> None:
        """Move the actuator's command one physics step further toward the goal."""
        now_m = (data.ctrl[self._motor] - self._names.ctrl_closed) / self._ctrl_per_m
        reach_m = self._names.speed_m_s * dt_s
        now_m += min(max(self.goal_m - now_m, -reach_m), reach_m)
        data.ctrl[self._motor] = self._names.ctrl_closed + now_m * self._ctrl_per_m

    def opening_m(self, data: mujoco.MjData) -> float:
        """How far the pads are apart."""
        return float(np.mean(data.qpos[self._q] - self._names.closed_at) * self._m_per_q)
