"""How the twin's tool answers stored episodes' targets, for given settings of its Cartesian impedance controller.

The counterpart of joint_response.py where tool poses are commanded: natural frequency and damping ratio of the tool's
position, and the time a new target is spread over (ImpedanceConfig). Orientation is not fitted: the displacements that
a store holds leave it as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from o2o_calibration.delay import Signal
from o2o_calibration.episodes import AXES, starts_s
from o2o_calibration.joint_response import DELAY
from o2o_robot.report.replay_plan import Plan
from o2o_robot.report.replay_run import replay
from o2o_robot.report.replay_tracking import Motion
from o2o_robot.types import Array
from o2o_sim.config import ImpedanceConfig, TwinConfig
from o2o_sim.twin import Twin

PARAMETERS = ("position_rad_s", "damping_ratio", "slew_s")
_FINE_S = 0.01


@dataclass(frozen=True)
class ToolDrive:
    """The twin's arm sent after the targets of `plans`, each from its recorded start, at rest, touching nothing.

    answer = drive.answer(command, at_s, {"slew_s": 0.12, "delay_s": 0.01}) is its tool on the plans' common clock.
    """

    config: TwinConfig
    plans: tuple[Plan, ...]
    joints: tuple[str, ...] = AXES
    unit: str = "m"

    @classmethod
    def of_robot(cls, robot: str, plans: Sequence[Plan], task: str = "reach") -> ToolDrive:
        """task: whose tool the arm holds."""
        return cls(TwinConfig(robot=robot, task=task, cameras=(), contacts=False), tuple(plans))

    @property
    def held(self) -> Mapping[str, float]:
        """The model's own settings, and no delay."""
        return {DELAY: 0.0, **{name: float(getattr(self.config.impedance, name)) for name in PARAMETERS}}

    def answer(self, command: Signal, at_s: Array, told: Mapping[str, float], start: Array | None = None) -> Array:
        """Positions (n, 3) at at_s (n,); command and start are those of the plans, and not looked at."""
        parameters = {**self.held, **told}
        impedance = replace(ImpedanceConfig(), **{name: parameters[name] for name in PARAMETERS})
        times, places = [], []
        with Twin(replace(self.config, impedance=impedance)) as twin:
            for plan, start_s in zip(self.plans, starts_s(self.plans), strict=True):
                moved = self._moved(twin, plan)
                times += [start_s - 1.0, *(start_s + moved.t_s)]  # at rest before
                places += [moved.tool_m[:1], moved.tool_m]
        path = np.concatenate(places)
        return np.stack([np.interp(at_s - parameters[DELAY], times, axis) for axis in path.T], axis=1)

    def _moved(self, twin: Twin, plan: Plan) -> Motion:
        fine_s = np.arange(0.0, plan.wanted.t_s[-1] + _FINE_S, _FINE_S)
        wanted = plan.wanted._replace(t_s=fine_s)
        twin.reset(0)
        twin.place(plan.wanted.q_rad[0])
        return replay(twin, plan._replace(wanted=wanted))
