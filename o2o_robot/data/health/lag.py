"""How long the state takes to follow the action, from the correlation of the two at every shift."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from o2o_robot.types import Array

_LONGEST_S = 1.0
_MOST_STEPS = 30
_LEAST_ROWS = 40  # left to compare at the largest shift: fewer rows correlate by chance
_SURE = 0.7


class Lag(NamedTuple):
    """The state answers `steps` control steps later than in the step the action belongs to; below zero, it leads.

    strength: median of the best correlations (0 to 1), one a moving column of the action. s: the same in seconds.
    """

    steps: float
    s: float
    strength: float


def lag(action: Array, state: Array, period_s: float) -> Lag | None:
    """The delay between action (T, a) and state (T + 1, k), columns that answer together counted once each.

    An action is a target (the state goes where it says) or a motion (the state changes as it says), whichever fits
    better. None where nothing follows: too few rows, nothing moves, or no correlation of 0.7.
    """
    reach = int(min(_MOST_STEPS, len(action) - _LEAST_ROWS, _LONGEST_S / period_s if period_s > 0 else 0))
    action, state = _moving(action), state[:, np.ptp(state, axis=0) > 1e-4]
    if reach < 2 or not action.shape[1] or not state.shape[1]:
        return None
    # state row t + 1 is the first that can show action t
    target = _peaks(action, state[1:], reach)
    motion = _peaks(action, np.diff(state, axis=0), reach)
    best = max(target, motion, key=lambda peaks: float(np.median(peaks[1])))
    sure = best[1] >= _SURE
    if 2 * sure.sum() < len(sure):
        return None
    steps = float(np.median(best[0][sure]))
    return Lag(steps, steps * period_s, float(np.median(best[1][sure])))


def _peaks(action: Array, follower: Array, reach: int) -> tuple[Array, Array]:
    """For each action column: the shift of its best absolute correlation with any follower column, and that, (a,)."""
    shifts = np.arange(-reach, reach + 1)
    found = np.stack([np.abs(_correlation(*_shifted(action, follower, int(k)))).max(axis=1) for k in shifts])
    return shifts[found.argmax(axis=0)], found.max(axis=0)


def _shifted(action: Array, follower: Array, k: int) -> tuple[Array, Array]:
    n = len(action)
    return action[max(0, -k) : n - max(0, k)], follower[max(0, k) : n + min(0, k)]


def _correlation(a: Array, b: Array) -> Array:
    """Pearson's r of every column of a (N, i) with every one of b (N, j): (i, j), 0 where one does not vary."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    scale = np.sqrt(np.outer((a**2).sum(axis=0), (b**2).sum(axis=0)))
    return np.asarray(a.T @ b / np.where(scale > 1e-12, scale, np.inf))


def _moving(values: Array) -> Array:
    return np.asarray(values[:, np.ptp(values, axis=0) > 1e-3], np.float64)
