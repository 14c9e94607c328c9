"""Insert the held peg into the orange socket; a blue one of the same shape stands elsewhere.

Where the sockets stand can be known only from the images, so the outcome depends on what the cameras see.
"""

from __future__ import annotations

import numpy as np

from o2o_robot.types import TaskState
from o2o_sim.config import PegConfig
from o2o_sim.engine import mujoco
from o2o_sim.tasks import draw

PEG_RADIUS_M = 0.008  # of geom "peg" in models/peg_hand.xml
TARGET_RGBA = (1.0, 0.50, 0.05, 1.0)
DISTRACTOR_RGBA = (0.10, 0.25, 1.0, 1.0)


class PegTask:
    """Success: the peg's tip inside the target's hole, at least `insert_depth_m` below the rim.

    privileged (9,): centre of the target's rim, centre of the distractor's rim, peg tip; metres, base frame.
    """

    name, tool = "peg", "peg"

    def __init__(self, config: PegConfig, facing: float = 1.0) -> None:
        self._config, self._facing = config, facing
        self._hole_m = PEG_RADIUS_M + config.clearance_m

    def add_to(self, spec: mujoco.MjSpec) -> None:
        for name, rgba in (("target", TARGET_RGBA), ("distractor", DISTRACTOR_RGBA)):
            body = spec.worldbody.add_body(name=name, mocap=True, pos=[0.5, 0.0, 0.0])
            add_socket(
                body, rgba, hole_m=self._hole_m, wall_m=self._config.wall_m, height_m=self._config.socket_height_m
            )

    def reset(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> np.ndarray:
        c = self._config
        target, distractor = draw.pair_apart(rng, c.region_x_m, c.region_y_m, c.min_gap_m)
        for name, xy in (("target", target), ("distractor", distractor)):
            data.mocap_pos[model.body(name).mocapid[0]] = draw.in_base(np.append(xy, 0.0), self._facing)
        return draw.in_base(draw.point(rng, c.start_x_m, c.start_y_m, c.start_z_m), self._facing)

    def watch(self, model: mujoco.MjModel, data: mujoco.MjData, dt_s: float) -> None:
        """It is done the moment it is in."""

    def judge(self, model: mujoco.MjModel, data: mujoco.MjData, stamp_ns: int) -> TaskState:
        rim = np.array([0.0, 0.0, self._config.socket_height_m])
        target_m = data.mocap_pos[model.body("target").mocapid[0]] + rim
        distractor_m = data.mocap_pos[model.body("distractor").mocapid[0]] + rim
        tip_m = data.site("tip").xpos.copy()
        success = inserted(tip_m - target_m, hole_m=self._hole_m, depth_m=self._config.insert_depth_m)
        return TaskState(stamp_ns, float(success), success, privileged=np.concatenate([target_m, distractor_m, tip_m]))


def inserted(tip_from_rim_m: np.ndarray, *, hole_m: float, depth_m: float) -> bool:
    """Whether a tip, seen from the rim's centre, is inside the square hole (half-width hole_m) and deep enough."""
    x, y, z = tip_from_rim_m
    return bool(abs(x) < hole_m and abs(y) < hole_m and z <= -depth_m)


def add_socket(body: mujoco.MjsBody, rgba: tuple[float, ...], *, hole_m: float, wall_m: float, height_m: float) -> None:
    """Four walls around a square hole, standing on the body's origin, with a dark floor that shows the hole."""
    middle, half, z = hole_m + wall_m / 2, wall_m / 2, height_m / 2
    outer = hole_m + wall_m
    for pos, size in (
        ((middle, 0, z), (half, outer, z)),
        ((-middle, 0, z), (half, outer, z)),
        ((0, middle, z), (hole_m, half, z)),
        ((0, -middle, z), (hole_m, half, z)),
    ):
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=pos, size=size, rgba=rgba, contype=0, conaffinity=1, group=1)
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=(0, 0, 0.001),
        size=(hole_m, hole_m, 0.001),
        rgba=(0.05, 0.05, 0.05, 1),
        contype=0,
        conaffinity=0,
        group=1,
    )
