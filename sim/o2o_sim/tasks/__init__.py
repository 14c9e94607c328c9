"""Tasks of the twin: reset, success, observation, scripted expert."""

from __future__ import annotations

from o2o_robot.errors import ConfigError
from o2o_sim.config import TwinConfig
from o2o_sim.tasks.base import Task

TASKS = ("peg", "reach", "lift")


def make_task(config: TwinConfig, *, facing: float = 1.0) -> Task:
    """The task `config.task` names, on the side that the arm faces (1: +x of its base, -1: -x).

    Raises ConfigError for a task that does not exist.
    """
    from o2o_sim.tasks.lift import LiftTask
    from o2o_sim.tasks.peg import PegTask
    from o2o_sim.tasks.reach import ReachTask

    if config.task == "peg":
        return PegTask(config.peg, facing)
    if config.task == "reach":
        return ReachTask(config.reach, facing)
    if config.task == "lift":
        return LiftTask(config.lift, facing)
    raise ConfigError(f"no task '{config.task}'; there are {', '.join(TASKS)}")
