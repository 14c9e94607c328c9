"""The rotation between two 3x3 matrices, fast enough for every physics substep (o2o_robot has the quaternion forms)."""

from __future__ import annotations

import math

import numpy as np


def rotation_between(R_from: np.ndarray, R_to: np.ndarray) -> np.ndarray:
    """The rotation vector r (3,), base frame, with exp(r) @ R_from = R_to. Accurate short of half a turn."""
    (_, b, c), (d, _, f), (g, h, _) = E = (R_to @ R_from.T).tolist()
    x, y, z = 0.5 * (h - f), 0.5 * (c - g), 0.5 * (d - b)
    sine = math.sqrt(x * x + y * y + z * z)
    cosine = 0.5 * (E[0][0] + E[1][1] + E[2][2] - 1.0)
    scale = math.atan2(sine, cosine) / sine if sine > 1e-9 else 1.0
    return np.array((x * scale, y * scale, z * scale))
