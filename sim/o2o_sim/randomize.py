"""Each episode's own light, looks, cameras and physics, drawn from the episode's seed onto the nominal model."""

from __future__ import annotations

from typing import Any

import numpy as np

from o2o_robot.types import Array
from o2o_sim.engine import mujoco
from o2o_sim.joints import ArmJoints
from o2o_sim.randomize_config import Randomization
from o2o_sim.randomize_looks import light, looks
from o2o_sim.randomize_physics import cameras, physics
from o2o_sim.spread import Draws

# What is drawn, and what mj_setConst derives from masses and cameras.
_FIELDS = (
    *("geom_rgba", "geom_friction", "tex_data", "light_active", "light_dir", "light_dir0", "light_diffuse"),
    *("light_specular", "light_ambient", "light_pos0", "light_poscom0"),
    *("cam_pos", "cam_quat", "cam_fovy", "cam_intrinsic", "cam_pos0", "cam_poscom0", "cam_mat0"),
    *("body_mass", "body_inertia", "body_subtreemass", "body_invweight0", "dof_M0", "dof_invweight0"),
    *("dof_damping", "dof_frictionloss", "actuator_gainprm", "actuator_acc0", "tendon_invweight0"),
)
_HEADLIGHT = ("ambient", "diffuse")
_STATISTICS = ("meaninertia", "meanmass", "meansize", "extent", "center")


class Randomizer:
    """Draws scenes onto one model, whose values now are the nominal ones.

    randomizer = Randomizer(model, config, arm)
    for seed in seeds:
        randomizer.draw(seed)      # always from the nominal values: nothing adds up
    randomizer.restore()           # bit for bit what it was
    """

    def __init__(self, model: mujoco.MjModel, config: Randomization, arm: ArmJoints) -> None:
        self._model, self._config, self._arm = model, config, arm
        self._arrays = {name: getattr(model, name).copy() for name in _FIELDS}
        self._headlight = {name: getattr(model.vis.headlight, name).copy() for name in _HEADLIGHT}
        self._statistics = {name: np.copy(getattr(model.stat, name)) for name in _STATISTICS}
        self.start_offset_m: Array = np.zeros(3)
        self.facts: dict[str, Any] = {}

    def draw(self, seed: int) -> None:
        """Make the model the one of this seed. `facts` then says what was drawn, `start_offset_m` where to start."""
        self.restore()
        model, config, draws = self._model, self._config, Draws(seed)
        light(model, draws, config.light)
        looks(model, draws, config.looks)
        cameras(model, draws, config.cameras)
        physics(model, draws, config.physics, self._arm)
        self.start_offset_m = draws("start.offset_mm", config.start.offset_mm, (3,)) * 1e-3
        self.facts = draws.facts

    def restore(self) -> None:
        """Make the model nominal again, bit for bit."""
        for name, value in self._arrays.items():
            getattr(self._model, name)[:] = value
        for name, value in self._headlight.items():
            setattr(self._model.vis.headlight, name, value)
        for name, value in self._statistics.items():
            setattr(self._model.stat, name, value)
