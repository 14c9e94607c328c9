"""Pictures of a camera by message: uint8 rows in memory, or in an unnamed file where a folder is given for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from o2o_robot.data.archive.mapped import let_go, mapped
from o2o_robot.data.contract import ImageStream
from o2o_robot.types import Array

_IN_MEMORY_BYTES = 32 << 20  # below that a file is not worth its while
_ROWS_AT_ONCE = 256


class PixelRows:
    """The pictures of one camera, side x side x 3 pixels each.

    rows = PixelRows(camera, scratch)
    rows.expect(np.array([3, 6, 9]))            # message indices, increasing; room is made for them
    rows.put(6, picture)
    rows.at(np.array([3, 6, 6]))                # (3, side, side, 3); no copy where the rows lie side by side
    """

    def __init__(self, camera: ImageStream, scratch: Path | None) -> None:
        self.camera = camera
        self._scratch = scratch
        self._blocks: list[Array] = []
        self._place: dict[int, tuple[int, int]] = {}  # message -> number of its block, row

    def expect(self, index: Array) -> None:
        """Make room for messages `index` (N,), increasing. Raises StoreError where the disk is full."""
        if len(index):
            self._place.update((i, (len(self._blocks), row)) for row, i in enumerate(index.tolist()))
            self._blocks.append(self._room(len(index)))

    def put(self, message: int, picture: Array) -> None:
        block, row = self._place[message]
        self._blocks[block][row] = picture

    def at(self, index: Array) -> Array:
        """The pictures of messages `index` (N,), never decreasing, as (N, side, side, 3)."""
        places = [self._place[i] for i in index.tolist()]
        (block, first), (_, last) = places[0], places[-1]
        if places == [(block, row) for row in range(first, first + len(places))]:
            return self._blocks[block][first : last + 1]
        gathered = self._room(len(places))
        for row, (block, source) in enumerate(places):
            gathered[row] = self._blocks[block][source]
            if row % _ROWS_AT_ONCE == 0:
                let_go(gathered)
                self.let_go()
        return gathered

    def let_go(self) -> None:
        """Hold no more of the pictures in memory than need be."""
        for block in self._blocks:
            let_go(block)

    def _room(self, n_rows: int) -> Array:
        shape = (n_rows, self.camera.side, self.camera.side, 3)
        if self._scratch is None or np.prod(shape) < _IN_MEMORY_BYTES:
            return np.empty(shape, np.uint8)
        return mapped(shape, self._scratch)
