"""How far one motion lies from another, joint by joint and at the tool, and how late it is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from o2o_robot.errors import DataError
from o2o_robot.robot.rotation import rotation_vector
from o2o_robot.types import Array

_STILL = 1e-4  # rad or m: what moves less has no lag that could be told
_LONGEST_S = 0.5
_GRID_S = 0.005


class Motion(NamedTuple):
    """An arm over time: t_s (T,), q_rad (T, n), tool_m (T, 3), tool_quat_xyzw (T, 4)."""

    t_s: Array
    q_rad: Array
    tool_m: Array
    tool_quat_xyzw: Array


class Gap(NamedTuple):
    """rms and most of |got - wanted| in the unit of both; lag_s: got is later than wanted by this (None: it is still).

    rms_without_lag: what remains once got is read lag_s later; the error that is not mere delay.
    """

    rms: float
    most: float
    lag_s: float | None
    rms_without_lag: float


class Tracking(NamedTuple):
    """joints: a Gap each, rad; tool: distance of the positions, m; turn: angle between the orientations, rad."""

    joints: tuple[Gap, ...]
    tool: Gap
    turn: Gap


def tracking(wanted: Motion, got: Motion) -> Tracking:
    """Compare two motions at the same instants. Raises DataError where they are not."""
    if wanted.q_rad.shape != got.q_rad.shape or not np.allclose(wanted.t_s, got.t_s):
        raise DataError(
            f"motions of {len(wanted.t_s)} and {len(got.t_s)} instants do not lie on the same ones; sample them alike"
        )
    joints = tuple(gap(wanted.t_s, wanted.q_rad[:, [i]], got.q_rad[:, [i]]) for i in range(wanted.q_rad.shape[1]))
    turns = np.array([rotation_vector(a, b) for a, b in zip(wanted.tool_quat_xyzw, got.tool_quat_xyzw, strict=True)])
    angles = np.linalg.norm(turns, axis=1)
    turn = Gap(_rms(turns), float(angles.max()), None, _rms(turns))
    return Tracking(joints, gap(wanted.t_s, wanted.tool_m, got.tool_m), turn)


def gap(t_s: Array, wanted: Array, got: Array) -> Gap:
    """The distance of got (T, k) from wanted (T, k), and the delay that explains most of it."""
    most, rms = float(np.linalg.norm(got - wanted, axis=1).max()), _rms(got - wanted)
    late_s = lag_s(t_s, wanted, got)
    if late_s is None:
        return Gap(rms, most, None, rms)
    without = _shifted_rms(t_s, wanted, got, late_s)
    # a shift that explains nothing is the error of reading between samples, and no delay
    return Gap(rms, most, late_s, without) if without < rms else Gap(rms, most, 0.0, rms)


def lag_s(t_s: Array, wanted: Array, got: Array, *, longest_s: float = _LONGEST_S) -> float | None:
    """The delay d for which got(t) is nearest to wanted(t - d), in least squares, -longest_s to longest_s.

    A grid of 5 ms, then a parabola through the best and its neighbours. None where nothing moves, or the motion is too
    short to be shifted.
    """
    longest_s = min(longest_s, (t_s[-1] - t_s[0]) / 4)
    if np.ptp(wanted, axis=0).max() < _STILL or np.ptp(got, axis=0).max() < _STILL or longest_s < 2 * _GRID_S:
        return None
    shifts = np.arange(-longest_s, longest_s + _GRID_S / 2, _GRID_S)
    errors = np.array([_shifted_rms(t_s, wanted, got, d, margin_s=longest_s) ** 2 for d in shifts])
    best = int(errors.argmin())
    if best in (0, len(shifts) - 1):
        return float(shifts[best])
    before, at, after = errors[best - 1 : best + 2]
    bend = before - 2 * at + after
    return float(shifts[best] + (_GRID_S * (before - after) / (2 * bend) if bend > 0 else 0.0))


def _shifted_rms(t_s: Array, wanted: Array, got: Array, d_s: float, *, margin_s: float | None = None) -> float:
    """RMS of got(t) - wanted(t - d) over the instants for which every shift up to the margin lies inside."""
    margin_s = abs(d_s) if margin_s is None else margin_s
    inside = (t_s >= t_s[0] + margin_s - 1e-9) & (t_s <= t_s[-1] - margin_s + 1e-9)
    shifted = np.stack([np.interp(t_s[inside] - d_s, t_s, column) for column in wanted.T], axis=1)
    return _rms(got[inside] - shifted)


def _rms(errors: Array) -> float:
    """Root of the mean squared length of rows (T, k)."""
    return float(np.sqrt((errors**2).sum(axis=1).mean())) if len(errors) else 0.0
