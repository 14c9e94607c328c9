"""Commands the arm in a person's stead: the task's scripted expert, tunably noisy, running demonstration episodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from o2o_nodes.node import HouseNode, run
from o2o_nodes.session import Session
from o2o_nodes.sight import Look
from o2o_robot.graph_arm import action_space
from o2o_robot.robot.action_space import space_named
from o2o_robot.types import Mode, Source
from o2o_robot.vitals import Value, scalars
from o2o_sim.tasks.expert import ExpertConfig, make_expert


class ScriptedActor:
    """The expert of a task as an actor; every episode draws its errors from its own seed."""

    source = Source.SCRIPTED
    revision = 0

    def __init__(self, task: str, config: ExpertConfig) -> None:
        self._expert = make_expert(task, config)

    def begin(self, mode: Mode, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 1])
        self._expert.reset(self._rng)

    def act(self, look: Look) -> np.ndarray:
        return self._expert.act(look.task, look.arm, self._rng)


class TeleopNode(HouseNode):
    def __init__(self) -> None:
        super().__init__("teleop_node")

    def open(self) -> None:
        config = ExpertConfig(
            noise=self.setting("noise", 0.3, "standard deviation of the expert's action noise, of full scale"),
            bias_m=self.setting("bias_m", 0.008, "standard deviation of an episode's wrong aim, metres"),
            distracted=self.setting("distracted", 0.0, "share of episodes aimed at the distractor"),
        )
        task = self.setting("task", "peg", "name of the task")
        n_action = space_named(action_space(task, "")).n_action  # of the task's expert
        self._session = Session(self, ScriptedActor(task, config), n_action=n_action)

    def start(self) -> None:
        self._session.start()

    def summary(self) -> dict[str, Any]:
        return self._session.summary()

    def readings(self) -> dict[str, Value]:
        return scalars(self._session.summary())


def main() -> None:
    run(TeleopNode)
