"""Commanded and measured tool positions of stored episodes, as signals on one clock.

A store holds tool displacements and no commanded joints, so the three axes of the tool's position stand in for joints.
Each command holds until the next, and every episode begins at rest: before it the command is where the tool was.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from o2o_calibration.delay import Signal
from o2o_calibration.errors import CalibrationError
from o2o_robot.data.store import EpisodeStore
from o2o_robot.report.replay_plan import Plan, plan_of_episode
from o2o_robot.types import Array

AXES = ("x", "y", "z")
REST_S = 2.0  # between two episodes on the common clock: longer than any latency that is looked for
_JUST_BEFORE_S = 1e-6


def read_plans(store: Path, chosen: Sequence[int] = (), *, scale_m: float = 0.025) -> list[Plan]:
    """Those episodes, or all of the store. scale_m: tool motion of an action of 1, as it was recorded."""
    with EpisodeStore.open(store) as episodes:
        numbers = chosen or range(len(episodes))
        plans = [plan_of_episode(episodes.read(number), scale_m=scale_m) for number in numbers]
    plans = [plan for plan in plans if len(plan.commands) > 1]
    if not plans:
        raise CalibrationError(f"{store} has no episode of two steps and more; give one with motion")
    return plans


def starts_s(plans: Sequence[Plan]) -> Array:
    """When each episode begins on the common clock, which begins with a rest."""
    lengths_s = [REST_S + float(plan.wanted.t_s[-1]) for plan in plans]
    return REST_S + np.concatenate([[0.0], np.cumsum(lengths_s[:-1])])


def signals(plans: Sequence[Plan]) -> tuple[Signal, Signal]:
    """Commanded (n, 3) and measured (m, 3) tool positions, metres in the base frame."""
    commanded, measured = [], []
    for plan, start_s in zip(plans, starts_s(plans), strict=True):
        commanded.append(_held(plan, start_s))
        measured.append(Signal(start_s + plan.wanted.t_s, plan.wanted.tool_m))
    return _joined(commanded), _joined(measured)


def _held(plan: Plan, start_s: float) -> Signal:
    """Its targets as steps, after a rest where the tool was at first."""
    at_s = np.array([command.t_s for command in plan.commands])
    targets_m = np.array([command.target.position_m for command in plan.commands])
    until_s = np.append(at_s[1:] - _JUST_BEFORE_S, max(plan.wanted.t_s[-1], at_s[-1] + _JUST_BEFORE_S))
    rest_s = np.array([-REST_S + _JUST_BEFORE_S, at_s[0] - _JUST_BEFORE_S])
    t_s = np.concatenate([rest_s, np.stack([at_s, until_s], axis=1).ravel()])
    rest_m = np.repeat(plan.wanted.tool_m[:1], 2, axis=0)
    return Signal(start_s + t_s, np.concatenate([rest_m, np.repeat(targets_m, 2, axis=0)]))


def _joined(parts: Sequence[Signal]) -> Signal:
    return Signal(np.concatenate([part.t_s for part in parts]), np.concatenate([part.values for part in parts]))
