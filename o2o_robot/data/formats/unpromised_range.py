"""The range of actions whose format promises none: metres, radians, whatever was recorded, so it is always measured."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from o2o_robot.data.action_range import ActionRange, covering
from o2o_robot.errors import DataError
from o2o_robot.types import Array


def range_over(actions: Iterable[Array | DataError], *, where: str) -> ActionRange:
    """The range that covers actions (N, k) of all episodes, passing over those that cannot be read or are not finite.

    Raises DataError where none is left, with the first reason, or where episodes differ in k.
    """
    ends: list[Array] = []
    problem: DataError | None = None
    for each in actions:
        if isinstance(each, DataError):
            problem = problem or each
        elif len(each) and np.isfinite(each).all():
            ends.append(np.stack([each.min(axis=0), each.max(axis=0)]))
    widths = sorted({each.shape[1] for each in ends})
    if not widths:
        raise DataError(f"{where}: no episode has actions that can be read ({problem or 'none is finite'})")
    if len(widths) > 1:
        raise DataError(f"{where}: actions have {widths} values in different episodes; import them apart")
    return covering(np.concatenate(ends))
