"""Where in the picture corners were seen: a lens is known only where it was looked through."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from o2o_robot.types import Array

CELLS = (
    ("upper left", "upper middle", "upper right"),
    ("left", "middle", "right"),
    ("lower left", "lower middle", "lower right"),
)
_LEAST_CORNERS = 4  # a cell with fewer has been brushed, not seen


class Coverage(NamedTuple):
    """counts (3, 3): corners seen in each part of the picture; empty: the parts that need a photograph."""

    counts: Array
    empty: tuple[str, ...]

    @property
    def n_cells(self) -> int:
        return 9 - len(self.empty)


def coverage(pixels: list[Array], size_px: tuple[int, int]) -> Coverage:
    """What parts of a picture of size_px (width, height) the corners (n, 2) of all views have covered."""
    x, y = np.concatenate([*pixels, np.zeros((0, 2))]).T
    counts = np.histogram2d(y, x, bins=3, range=((0, size_px[1]), (0, size_px[0])))[0].astype(int)
    empty = [CELLS[i][j] for i in range(3) for j in range(3) if counts[i, j] < _LEAST_CORNERS]
    return Coverage(counts, tuple(empty))
