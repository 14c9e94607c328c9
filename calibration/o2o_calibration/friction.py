"""A joint's friction from its torque and speed: viscous and Coulomb, with gravity and inertia of that joint aside.

torque = J ddq + viscous dq + coulomb sign(dq) + offset + a sin q + b cos q, linear in all six: least squares, on
samples that move (the sign is not known at rest). Gravity's two terms vanish for a vertical axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import savgol_filter

from o2o_calibration.errors import CalibrationError
from o2o_calibration.twin_fit import Fitted
from o2o_robot.types import Array

_SURE = 1.96
_SLOWEST_RAD_S = 0.02
_BLOCKS = 40


@dataclass(frozen=True)
class Friction:
    """Nms/rad, Nm and kg m^2, each with the half-width of its 95 % interval; explained: share of torque's variance."""

    viscous_nms_rad: Fitted
    coulomb_nm: Fitted
    inertia_kg_m2: Fitted
    explained: float
    n_samples: int


def joint_friction(
    t_s: Array, q_rad: Array, dq_rad_s: Array, torque_nm: Array, *, max_half_width: float = 0.2
) -> Friction:
    """Of one joint that moved alone, (n,) each; acceleration is the slope of a parabola through 15 speeds.

    Raises CalibrationError where a friction is known worse than max_half_width of itself, or the model does not fit.
    """
    period_s = float(np.median(np.diff(t_s)))
    ddq = savgol_filter(dq_rad_s, 15, 2, deriv=1, delta=period_s)
    moving = np.abs(dq_rad_s) > _SLOWEST_RAD_S
    if moving.sum() < 200 or not (dq_rad_s[moving] > 0).any() or not (dq_rad_s[moving] < 0).any():
        raise CalibrationError(f"{moving.sum()} samples of motion, 200 both ways are needed; move the joint to and fro")
    x = np.stack([dq_rad_s, np.sign(dq_rad_s), ddq, np.ones_like(ddq), np.sin(q_rad), np.cos(q_rad)], axis=1)[moving]
    y = torque_nm[moving]
    found, *_ = np.linalg.lstsq(x, y, rcond=None)
    rest = y - x @ found
    wide = _SURE * _block_errors(x, rest)
    fitted = [Fitted(float(v), float(w)) for v, w in zip(found, wide, strict=True)]
    result = Friction(fitted[0], fitted[1], fitted[2], float(1 - rest.var() / y.var()), int(moving.sum()))
    for name, (value, half) in (("viscous", fitted[0]), ("Coulomb", fitted[1])):
        if not half <= max_half_width * abs(value):
            told = f"{name} friction {value:.3g} is known to {half:.2g}, at most {max_half_width:.0%} of it"
            raise CalibrationError(f"the friction is refused: {told}; move at several speeds, both ways")
    return result


def _block_errors(x: Array, rest: Array) -> Array:
    """Standard errors (p,) with errors that go together within each of 40 stretches of the recording."""
    bread = np.linalg.pinv(x.T @ x)
    scores = np.stack([part.sum(axis=0) for part in np.array_split(x * rest[:, None], _BLOCKS)])
    return np.asarray(np.sqrt(np.diag(bread @ (scores.T @ scores) @ bread) * _BLOCKS / (_BLOCKS - 1)))
