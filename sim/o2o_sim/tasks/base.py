"""What a task is: things added to the scene, a way to draw a start, and a judge."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from o2o_robot.types import TaskState
from o2o_sim.engine import mujoco


class Task(Protocol):
    """One task of the twin. It owns no simulator state: model and data come in (time it counts is in data.userdata).

    task.add_to(spec)                               # once, before the model is compiled
    tip_m = task.reset(model, data, rng)            # places the objects; the twin then places the arm
    task.watch(model, data, dt_s)                   # each time that time has passed
    state = task.judge(model, data, stamp_ns)       # any time

    tool: what the arm needs, "peg" (held for good) or "gripper".
    """

    name: str
    tool: str

    def add_to(self, spec: mujoco.MjSpec) -> None:
        """Add the task's bodies to the scene."""
        ...

    def reset(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> np.ndarray:
        """Draw and place the objects; returns where the tip (3,) starts, in metres, base frame."""
        ...

    def watch(self, model: mujoco.MjModel, data: mujoco.MjData, dt_s: float) -> None:
        """Take note that dt_s has passed, where the verdict depends on how long something lasts."""
        ...

    def judge(self, model: mujoco.MjModel, data: mujoco.MjData, stamp_ns: int) -> TaskState:
        """Whether it is done, from the simulator's state."""
        ...
