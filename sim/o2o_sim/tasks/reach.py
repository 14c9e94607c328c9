"""Bring the tip into a red sphere in the air: the smallest task that still needs eyes."""

from __future__ import annotations

import numpy as np

from o2o_robot.types import TaskState
from o2o_sim.config import ReachConfig
from o2o_sim.engine import mujoco
from o2o_sim.tasks import draw


class ReachTask:
    """Success: the tip inside the sphere. privileged (6,): centre of the sphere, tip; metres, base frame."""

    name, tool = "reach", "peg"

    def __init__(self, config: ReachConfig, facing: float = 1.0) -> None:
        self._config, self._facing = config, facing

    def add_to(self, spec: mujoco.MjSpec) -> None:
        body = spec.worldbody.add_body(name="goal", mocap=True, pos=[0.5, 0.0, 0.1])
        radius = self._config.radius_m
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            size=(radius, 0, 0),
            rgba=(1, 0.1, 0.1, 1),
            contype=0,
            conaffinity=0,
            group=1,
        )

    def reset(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> np.ndarray:
        c = self._config
        goal_m = draw.point(rng, c.region_x_m, c.region_y_m, c.region_z_m)
        data.mocap_pos[model.body("goal").mocapid[0]] = draw.in_base(goal_m, self._facing)
        return draw.in_base(draw.point(rng, c.start_x_m, c.start_y_m, c.start_z_m), self._facing)

    def watch(self, model: mujoco.MjModel, data: mujoco.MjData, dt_s: float) -> None:
        """It is done the moment the tip is inside."""

    def judge(self, model: mujoco.MjModel, data: mujoco.MjData, stamp_ns: int) -> TaskState:
        goal_m = data.mocap_pos[model.body("goal").mocapid[0]].copy()
        tip_m = data.site("tip").xpos.copy()
        success = bool(np.linalg.norm(tip_m - goal_m) < self._config.radius_m)
        return TaskState(stamp_ns, float(success), success, privileged=np.concatenate([goal_m, tip_m]))
