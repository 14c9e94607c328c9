"""What a limit is: a question about one step, answered with the pose that may be sent and why it differs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import numpy as np

from o2o_robot.errors import LimitError
from o2o_robot.robot.rotation import rotated, rotation_vector
from o2o_robot.safety.reason import NONE, Reason
from o2o_robot.types import ArmState, Array, Pose

LESS = 1.0 - 1e-9
"""A shortened step lands this much inside its limit, so that rounding cannot make the limit object to it again."""


class Verdict(NamedTuple):
    """What may be sent to the arm, and why it differs from what was asked. No reasons: it is what was asked."""

    target: Pose
    reasons: Reason = NONE


class Limit(Protocol):
    """Caps one step from the measured pose to `target`. The guard has refused NaN before any limit is asked.

    Promises: its own answer it leaves alone (idempotent); staying at the measured pose is never objected to.

    for limit in limits:
        target, reason = limit(target, state)
        reasons |= reason
    """

    def __call__(self, target: Pose, state: ArmState) -> Verdict: ...


class StateCheck(Protocol):
    """Judges the measured state alone, at every tick; gives the reasons against moving on."""

    def __call__(self, state: ArmState) -> Reason: ...


def pass_through(limits: Iterable[Limit], target: Pose, state: ArmState) -> Verdict:
    """Ask each limit in turn, each about the answer of the one before."""
    reasons = NONE
    for limit in limits:
        target, why = limit(target, state)
        if why:
            reasons |= why
    return Verdict(target, reasons)


def twist_to(target: Pose, state: ArmState) -> Array:
    """The step from the measured pose to `target`: translation (3,) m, then rotation vector (3,) rad, base frame."""
    turn = rotation_vector(state.tool.quat_xyzw, target.quat_xyzw)
    return np.concatenate([target.position_m - state.tool.position_m, turn])


def shorten(target: Pose, state: ArmState, *, translation: float = 1.0, rotation: float = 1.0) -> Pose:
    """The pose at these fractions in [0, 1] of the way to `target`: along the same line, about the same axis."""
    position, quat = target.position_m, target.quat_xyzw
    if translation < 1.0:
        position = state.tool.position_m + translation * LESS * (position - state.tool.position_m)
    if rotation < 1.0:
        turn = rotation_vector(state.tool.quat_xyzw, quat)
        quat = rotated(state.tool.quat_xyzw, rotation * LESS * turn)
    return Pose(position, quat)


def require_positive(name: str, value: float, example: str) -> None:
    """Raise LimitError unless `value` is finite and above zero. A NaN limit would silently allow everything."""
    if not (np.isfinite(value) and value > 0):
        raise LimitError(f"{name} must be finite and > 0, got {value}; for example {example}")
