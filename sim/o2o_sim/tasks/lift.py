"""Pick up the red cube: close the gripper around it, raise it, and keep it up."""

from __future__ import annotations

import numpy as np

from o2o_robot.types import TaskState
from o2o_sim.config import LiftConfig
from o2o_sim.engine import mujoco
from o2o_sim.tasks import draw

CUBE_RGBA = (0.95, 0.15, 0.10, 1.0)


class LiftTask:
    """Success: the cube's underside at least `lift_m` above the table, for `hold_s` without a break.

    privileged (6,): centre of the cube, tip (between the gripper's pads); metres, base frame.
    """

    name, tool = "lift", "gripper"

    def __init__(self, config: LiftConfig, facing: float = 1.0) -> None:
        self._config, self._facing = config, facing

    def add_to(self, spec: mujoco.MjSpec) -> None:
        half_m = self._config.side_m / 2
        body = spec.worldbody.add_body(name="cube", pos=[0.5, 0.0, half_m])
        body.add_freejoint(name="cube")
        body.add_geom(
            name="cube",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=(half_m, half_m, half_m),
            mass=self._config.mass_kg,
            rgba=CUBE_RGBA,
            contype=1,
            conaffinity=1,
            friction=(0.6, 0.005, 0.0001),
            group=1,
        )
        # a pyramidal friction cone lets a held cube creep out of the pads; Newton's residual slip is kept low
        spec.option.cone, spec.option.impratio = mujoco.mjtCone.mjCONE_ELLIPTIC, 10.0
        spec.nuserdata = 1  # seconds that the cube has been up

    def reset(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> np.ndarray:
        c = self._config
        place_m = np.append(draw.point(rng, c.region_x_m, c.region_y_m), c.side_m / 2)
        yaw_rad = rng.uniform(-c.max_yaw_rad, c.max_yaw_rad)
        quat_wxyz = (np.cos(yaw_rad / 2), 0.0, 0.0, np.sin(yaw_rad / 2))
        data.joint("cube").qpos[:] = (*draw.in_base(place_m, self._facing), *quat_wxyz)
        return draw.in_base(draw.point(rng, c.start_x_m, c.start_y_m, c.start_z_m), self._facing)

    def watch(self, model: mujoco.MjModel, data: mujoco.MjData, dt_s: float) -> None:
        is_up = data.body("cube").xpos[2] - self._config.side_m / 2 > self._config.lift_m
        data.userdata[0] = data.userdata[0] + dt_s if is_up else 0.0

    def judge(self, model: mujoco.MjModel, data: mujoco.MjData, stamp_ns: int) -> TaskState:
        success = bool(data.userdata[0] >= self._config.hold_s - 1e-9 and data.userdata[0] > 0)
        places_m = np.concatenate([data.body("cube").xpos, data.site("tip").xpos])
        return TaskState(stamp_ns, float(success), success, privileged=places_m)
