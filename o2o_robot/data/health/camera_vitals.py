"""The vital signs of one camera in one episode: how bright, how lively, and thumbnails to compare it by."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from o2o_robot.types import Array

SIDE = 8  # of a thumbnail, in cells
FILM = 8  # thumbnails, evenly from first to last frame
_LOOKED_AT = 5  # frames of which every pixel is looked at
_BLOWN = 250
_BLACK = 6.0


class CameraVitals(NamedTuple):
    """Grey levels are 0 to 255. level: mean over all frames. contrast: standard deviation of pixels, best of 5 frames.

    blown: share of pixels at 250 and above. change: how far the frames leave the first one, mean over a thumbnail,
    largest of all frames. n_black: frames that hold nothing. n_frozen: frames in a row that equal the one before, pixel
    by pixel, where the robot moved most meanwhile; frozen_travel (k,): how far each column of its state went then.
    film (8, 8, 8) float16: grey thumbnails; face (8, 8, 3): the median one, in colour.
    """

    level: float
    contrast: float
    blown: float
    change: float
    n_frames: int
    n_black: int
    n_frozen: int
    frozen_travel: Array
    film: Array
    face: Array


def camera_vitals(frames: Array, state: Array) -> CameraVitals:
    """Frames (N, H, W, 3) uint8; state (N, k): every column of the state at these frames."""
    thumbs = np.concatenate([thumbnails(some) for some in _parts(frames)])
    looked_at = frames[np.linspace(0, len(frames) - 1, _LOOKED_AT).round().astype(int)]
    grey = thumbs.mean(axis=3)
    n_frozen, frozen_travel = _frozen(frames, state)
    return CameraVitals(
        level=float(grey.mean()),
        contrast=float(max(frame.std() for frame in looked_at)),
        blown=float((looked_at >= _BLOWN).mean()),
        change=float(np.abs(grey - grey[0]).mean(axis=(1, 2)).max()),
        n_frames=len(frames),
        n_black=int((thumbs.max(axis=(1, 2, 3)) < _BLACK).sum()),
        n_frozen=n_frozen,
        frozen_travel=frozen_travel,
        film=grey[np.linspace(0, len(grey) - 1, FILM).round().astype(int)].astype(np.float16),
        face=np.median(thumbs, axis=0).astype(np.float32),
    )


def thumbnails(frames: Array) -> Array:
    """Mean colours of 8 x 8 cells: (N, H, W, 3) uint8 to (N, 8, 8, 3) float32."""
    cells: Array = frames.astype(np.float32)
    for axis in (1, 2):
        edges = np.arange(SIDE) * frames.shape[axis] // SIDE
        sizes = np.maximum(np.diff(np.append(edges, frames.shape[axis])), 1).astype(np.float32)
        sums = np.add.reduceat(cells, edges, axis=axis)
        cells = sums / sizes.reshape([-1 if i == axis else 1 for i in range(4)])
    return cells


def _frozen(frames: Array, state: Array) -> tuple[int, Array]:
    """Length and state travel (k,) of the run of equal frames in which the robot moved most, in shares of its way."""
    way = np.maximum(np.ptp(state, axis=0), 1e-4)
    is_new = [True, *(not np.array_equal(a, b) for a, b in itertools.pairwise(frames)), True]
    edges = np.flatnonzero(is_new)
    found = [(b - 1 - a, np.ptp(state[a:b], axis=0)) for a, b in itertools.pairwise(edges.tolist())]
    return max(found, key=lambda run: float((run[1] / way).max(initial=0.0)))


def _parts(frames: Array, n: int = 64) -> Iterator[Array]:
    """Some frames at a time: as float32 an episode would need four times its memory."""
    return (frames[i : i + n] for i in range(0, len(frames), n))
