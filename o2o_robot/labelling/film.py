"""An episode as pictures for a browser: every camera's frames in one sheet to play, and the filmstrip."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from o2o_robot.report.filmstrip import filmstrip
from o2o_robot.types import Array, Episode

MAX_FRAMES, MAX_SIDE_PX, STRIP_FRAMES = 225, 192, 10  # 15 x 15 cells of 192 pixels: a tablet still decodes the sheet
_QUALITY = 90


class Film(NamedTuple):
    """sheets: JPEG by camera, n_frames cells of side_px row by row, n_columns a row; strip: JPEG, a row a camera.

    times_s since the first frame; strip_frames: which cell each of the strip's columns shows.
    """

    sheets: Mapping[str, bytes]
    strip: bytes
    n_columns: int
    side_px: int
    times_s: tuple[float, ...]
    strip_frames: tuple[int, ...]


def film(episode: Episode) -> Film | None:
    """None where the episode has no camera. Of a long episode frames evenly over it, its first and last among them."""
    if not episode.images:
        return None
    rows = np.unique(np.linspace(0, len(episode), min(len(episode) + 1, MAX_FRAMES)).round().astype(int))
    side = min(MAX_SIDE_PX, max(max(image.shape[1:3]) for image in episode.images.values()))
    cells = {camera: np.stack([_cell(image[row], side) for row in rows]) for camera, image in episode.images.items()}
    n_columns = math.ceil(math.sqrt(len(rows)))
    times_s = (episode.stamp_ns[rows] - episode.stamp_ns[0]) / 1e9
    short = replace(episode, images=cells, action=episode.action[: len(rows) - 1], stamp_ns=episode.stamp_ns[rows])
    shown = np.unique(np.linspace(0, len(rows) - 1, STRIP_FRAMES).round().astype(int))  # as filmstrip chooses them
    return Film(
        {camera: _jpeg(_sheet(frames, n_columns)) for camera, frames in cells.items()},
        _jpeg(filmstrip(short, n_frames=STRIP_FRAMES).sheet),
        n_columns,
        side,
        tuple(times_s.tolist()),
        tuple(shown.tolist()),
    )


def _cell(frame: Array, side: int) -> Array:
    """A frame (H, W, 3) as large as fits into side x side, in the middle of black."""
    import cv2

    scale = side / max(frame.shape[:2])
    height, width = (max(1, round(length * scale)) for length in frame.shape[:2])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    cell = np.zeros((side, side, 3), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    cell[top : top + height, left : left + width] = cv2.resize(frame, (width, height), interpolation=way)
    return cell


def _sheet(frames: Array, n_columns: int) -> Array:
    """Cells (N, side, side, 3) in a grid, row by row; what is left over is black."""
    n, side = frames.shape[:2]
    n_rows = math.ceil(n / n_columns)
    padded = np.concatenate([frames, np.zeros((n_rows * n_columns - n, side, side, 3), np.uint8)])
    grid = padded.reshape(n_rows, n_columns, side, side, 3).swapaxes(1, 2)
    return grid.reshape(n_rows * side, n_columns * side, 3)


def _jpeg(image: Array) -> bytes:
    import cv2

    # colour at full resolution: at half of it a 64 pixel frame gets blotches that look like objects
    colour = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    return bytes(cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY, *colour])[1])
