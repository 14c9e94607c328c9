"""The twin's arm with its gripper, and nothing to do: what calibration adds its own things to."""

from __future__ import annotations

import numpy as np

from o2o_robot.types import Array, TaskState
from o2o_sim.engine import mujoco


class BareScene:
    """A task of the twin without a task."""

    name, tool = "calibration", "gripper"

    def add_to(self, spec: mujoco.MjSpec) -> None:
        """Nothing but the arm."""

    def reset(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> Array:
        return np.array([0.5, 0.0, 0.3])

    def watch(self, model: mujoco.MjModel, data: mujoco.MjData, dt_s: float) -> None:
        """Nothing happens."""

    def judge(self, model: mujoco.MjModel, data: mujoco.MjData, stamp_ns: int) -> TaskState:
        return TaskState(stamp_ns, 0.0, False)
