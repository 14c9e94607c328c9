"""Tasks of the twin: reset, success, observation, scripted expert."""

from __future__ import annotations

from o2o_robot.errors import ConfigError
from o2o_sim.config import TwinConfig
from o2o_sim.tasks.base import Task

TASKS = ("peg", "reach")


def make_task(config: TwinConfig) -> Task:
    """The task `config.task` names. Raises ConfigError for one that does not exist."""
    from o2o_sim.tasks.peg import PegTask
    from o2o_sim.tasks.reach import ReachTask

    if config.task == "peg":
        return PegTask(config.peg)
    if config.task == "reach":
        return ReachTask(config.reach)
    raise ConfigError(f"no task '{config.task}'; there are {', '.join(TASKS)}")
