"""The scripted expert of a task as a device: every episode draws its errors from its own seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from o2o_robot.teleop.axes import IDENTITY, AxisRules
from o2o_robot.teleop.device import N_AXES, Clock, Moment, Reading
from o2o_robot.teleop.hand import Buttons
from o2o_robot.teleop.settings import described
from o2o_robot.types import Source
from o2o_sim.tasks.expert import ExpertConfig, make_expert


@dataclass(frozen=True)
class ScriptedConfig:
    """See the sentences."""

    task: str = described("peg", "name of the task")
    noise: float = described(0.3, "standard deviation of the expert's action noise, of full scale")
    bias_m: float = described(0.008, "standard deviation of an episode's wrong aim, metres")
    distracted: float = described(0.0, "share of episodes aimed at the distractor")


class Scripted:
    """Has hold of the arm from the first observation of an episode to its last."""

    Config = ScriptedConfig
    rules: ClassVar[AxisRules] = IDENTITY
    buttons: ClassVar[Buttons] = Buttons()
    source: ClassVar[Source] = Source.SCRIPTED

    def __init__(self, config: ScriptedConfig, clock: Clock) -> None:
        self._expert = make_expert(config.task, ExpertConfig(config.noise, config.bias_m, config.distracted))
        self.begin(0)
        self.trouble = ""

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_problem: Any) -> None: ...

    def begin(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 1])
        self._expert.reset(self._rng)

    def read(self, moment: Moment) -> Reading | None:
        if moment.arm is None or moment.task is None:
            return None
        values = self._expert.act(moment.task, moment.arm, self._rng)
        axes = np.append(values[:3].astype(np.float64), np.zeros(N_AXES - 3))
        return Reading(moment.now_s, axes, gripper=float(values[3]) if len(values) > 3 else 0.0, is_held=True)
