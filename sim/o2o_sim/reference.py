"""Where the tool should be between two targets: a minimum-jerk path from the present reference to rest.

Quintic with given start position, velocity and acceleration and rest at the end (Flash and Hogan, J. Neurosci. 1985),
so a new target never makes the reference jump. The same role as the target filter of CRISP's Cartesian controller.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Reference(NamedTuple):
    """Offset from the goal, its rate and its acceleration, each (..., 6): metres then a rotation vector, base frame."""

    offset: np.ndarray
    rate: np.ndarray
    acceleration: np.ndarray


AT_REST = Reference(np.zeros(6), np.zeros(6), np.zeros(6))


def minimum_jerk(start: Reference, duration_s: float, t_s: np.ndarray) -> Reference:
    """The reference at times t_s (n,) after `start`: offsets reach zero at `duration_s` and stay. Arrays are (n, 6)."""
    s = np.clip(t_s / duration_s, 0.0, 1.0)[:, None]
    x0, v0, a0 = start.offset, start.rate * duration_s, start.acceleration * duration_s**2
    c3 = -10 * x0 - 6 * v0 - 1.5 * a0
    c4 = 15 * x0 + 8 * v0 + 1.5 * a0
    c5 = -6 * x0 - 3 * v0 - 0.5 * a0
    moving = s < 1.0
    offset = x0 + s * (v0 + s * (a0 / 2 + s * (c3 + s * (c4 + s * c5))))
    rate = v0 + s * (a0 + s * (3 * c3 + s * (4 * c4 + s * 5 * c5)))
    acceleration = a0 + s * (6 * c3 + s * (12 * c4 + s * 20 * c5))
    return Reference(
        np.where(moving, offset, 0.0),
        np.where(moving, rate / duration_s, 0.0),
        np.where(moving, acceleration / duration_s**2, 0.0),
    )
