"""How far a task is from done, by the simulator's state. Needs no simulator itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from o2o_robot.errors import ConfigError, DataError
from o2o_robot.types import Array

PEG_DEPTH_M = 0.012  # below the rim, where the peg is in (PegConfig.insert_depth_m)
LIFTED_M = 0.08  # height of a cube's centre once it is up (LiftConfig: lift_m and half a side)


def _peg(p: Array) -> float:
    return float(np.linalg.norm(p[:3] - np.array([0.0, 0.0, PEG_DEPTH_M]) - p[6:9]))


def _reach(p: Array) -> float:
    return float(np.linalg.norm(p[:3] - p[3:6]))


def _lift(p: Array) -> float:
    return _reach(p) + max(0.0, LIFTED_M - float(p[2]))


REMAINING: Mapping[str, tuple[int, Callable[[Array], float]]] = {
    "peg": (9, _peg),
    "reach": (6, _reach),
    "lift": (6, _lift),
}
"""Task -> size of its TaskState.privileged, and metres that remain by it."""


def remaining_m(task: str, privileged: Array) -> float:
    """Metres that the tool, or what it holds, still has to go. Raises ConfigError for a task of which nobody knows,
    DataError where the state is another's."""
    if task not in REMAINING:
        raise ConfigError(f"of task '{task}' nobody knows how far it is; known: {', '.join(REMAINING)}")
    n, measure = REMAINING[task]
    if np.shape(privileged) != (n,):
        raise DataError(
            f"task '{task}' has {n} privileged numbers, got {np.size(privileged)}; is its judge the twin's?"
        )
    return measure(np.asarray(privileged, float))
