"""What -1 and +1 of a stored action mean, in the unit the action was recorded in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from o2o_robot.errors import DataError
from o2o_robot.types import Array


class ActionRange(NamedTuple):
    """What -1 and +1 mean for each value of a command, in the command's own unit; both (k,)."""

    low: Array
    high: Array


def covering(values: Array) -> ActionRange:
    """The range of raw actions (N, k); a value that never changes gets a range of one around it, so it becomes 0."""
    low, high = np.min(values, axis=0).astype(np.float64), np.max(values, axis=0).astype(np.float64)
    idle = high - low < 1e-6
    return ActionRange(np.where(idle, low - 0.5, low), np.where(idle, high + 0.5, high))


def scaled(values: Array, action_range: ActionRange, *, where: str) -> tuple[Array, int]:
    """Raw actions (T, k) in [-1, 1], float32, and how many values were clipped. DataError: widths differ."""
    low, high = (np.asarray(side, np.float64) for side in action_range)
    if low.shape != values.shape[1:]:
        raise DataError(f"{where}: a command has {values.shape[1]} values, the action range {len(low)}")
    unit = 2.0 * (values - low) / (high - low) - 1.0
    return np.clip(unit, -1.0, 1.0).astype(np.float32), int((np.abs(unit) > 1.0 + 1e-6).sum())


def unscaled(action: Array, action_range: ActionRange) -> Array:
    """Stored actions (T, k) in the unit they were recorded in, float64."""
    low, high = (np.asarray(side, np.float64) for side in action_range)
    return low + (np.asarray(action, np.float64) + 1.0) * (high - low) / 2.0
