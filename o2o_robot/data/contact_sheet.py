"""A contact sheet: a few frames of every episode in one PNG, and strips of frames as JPEG for a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from o2o_robot.errors import StoreError
from o2o_robot.types import Array, Episode, Outcome

_GAP = 4
_MARGIN = 168
_INK, _PAPER = (40, 40, 40), 250
_MARKS = {Outcome.SUCCESS.value: (38, 132, 60), Outcome.FAILURE.value: (190, 52, 44)}


def sheet_rows(number: int, episode: Episode, *, n_columns: int = 8, cell: int = 96) -> list[Array]:
    """A row (cell + 4, W, 3) RGB uint8 for each camera: n_columns frames evenly from its first to its last.

    Beside each row: the episode's number in the store, its camera, outcome (green: success, red: failure) and length.
    """
    return [_row(number, episode, camera, n_columns, cell) for camera in episode.images]


def strip_jpeg(frames: Array, *, height_px: int = 96, n_columns: int = 3, quality: int = 80) -> bytes:
    """n_columns of frames (N, H, W, 3), evenly from first to last, side by side in one JPEG of this height."""
    import cv2

    picked = [frames[i] for i in np.linspace(0, len(frames) - 1, n_columns).round().astype(int)]
    width_px = max(1, round(height_px * frames.shape[2] / frames.shape[1]))
    between = np.full((height_px, 2, 3), 255, np.uint8)
    parts = [part for frame in picked for part in (_resized(frame, width_px, height_px), between)]
    strip = np.concatenate(parts[:-1], axis=1)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(strip, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(data)


def save_png(rows: Sequence[Array], path: Path) -> None:
    """Write rows of one width, one below the other, as PNG. Raises StoreError where the disk refuses."""
    import cv2

    if not cv2.imwrite(str(path), cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR)):
        raise StoreError(f"{path} cannot be written; choose another place for the contact sheet")


def _row(number: int, episode: Episode, camera: str, n_columns: int, cell: int) -> Array:
    import cv2

    frames = episode.images[camera]
    row = np.full((cell + _GAP, _MARGIN + n_columns * (cell + _GAP), 3), _PAPER, np.uint8)
    for column, index in enumerate(np.linspace(0, len(frames) - 1, n_columns).round().astype(int)):
        left = _MARGIN + column * (cell + _GAP)
        row[:cell, left : left + cell] = _resized(frames[index], cell, cell)
    outcome = str(episode.meta.get("outcome", ""))
    lines = (f"#{number} {camera}", outcome, f"{len(episode)} steps")
    for i, text in enumerate(lines):
        ink = _MARKS.get(text, _INK)
        cv2.putText(row, text[:20], (6, 22 + 20 * i), cv2.FONT_HERSHEY_SIMPLEX, 0.45, ink, 1, cv2.LINE_AA)
    return row


def _resized(frame: Array, width_px: int, height_px: int) -> Array:
    import cv2

    way = cv2.INTER_AREA if frame.shape[1] > width_px else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(frame, (width_px, height_px), interpolation=way))
