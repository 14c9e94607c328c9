"""Random places of things on the table, in the table's frame: x ahead of the arm, y to its left."""

from __future__ import annotations

import numpy as np

Range = tuple[float, float]


def point(rng: np.random.Generator, *ranges_m: Range) -> np.ndarray:
    """One point, uniform in the box of the ranges."""
    return np.array([rng.uniform(low, high) for low, high in ranges_m])


def pair_apart(rng: np.random.Generator, x_m: Range, y_m: Range, min_gap_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Two points of the rectangle at least `min_gap_m` apart, uniform among such pairs."""
    while True:
        a, b = point(rng, x_m, y_m), point(rng, x_m, y_m)
        if np.hypot(*(a - b)) >= min_gap_m:
            return a, b


def in_base(place_m: np.ndarray, facing: float) -> np.ndarray:
    """A place (2,) or (3,) of the table in the base frame of an arm that looks along `facing` times its x axis."""
    return np.array([facing * place_m[0], facing * place_m[1], *place_m[2:]])
