"""The compiled world: arm, table and cameras from models/*.xml, plus what the task adds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_sim.config import TwinConfig
from o2o_sim.engine import mujoco
from o2o_sim.tasks.base import Task

MODELS = Path(__file__).parent / "models"
READY_RAD = np.array([0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4])  # the vendor's ready pose


def build_model(config: TwinConfig, task: Task) -> mujoco.MjModel:
    """The model of `task`. Raises ConfigError where a camera asked for is not in it."""
    spec = mujoco.MjSpec.from_file(str(MODELS / "scene.xml"))
    task.add_to(spec)
    spec.option.timestep = 1.0 / config.physics_hz
    model = spec.compile()
    known = [model.camera(i).name for i in range(model.ncam)]
    for name in config.cameras:
        if name not in known:
            raise ConfigError(f"the scene has no camera '{name}'; it has {', '.join(known)}")
    return model
