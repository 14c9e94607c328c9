"""A contact sheet: a few frames of every episode in one PNG, to look at what is in a store."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from o2o_robot.errors import StoreError
from o2o_robot.types import Array, Episode, Outcome

_GAP = 4
_MARGIN = 168
_INK, _PAPER = (40, 40, 40), 250
_MARKS = {Outcome.SUCCESS.value: (38, 132, 60), Outcome.FAILURE.value: (190, 52, 44)}


def contact_sheet(episodes: dict[int, Episode], *, n_columns: int = 8, cell: int = 96) -> Array:
    """RGB uint8 (H, W, 3): a row for each camera of each episode, n_columns frames evenly from its first to its last.

    Beside each row: the episode's number in the store, its camera, outcome (green: success, red: failure) and length.
    """
    rows = [
        _row(number, episode, camera, n_columns, cell)
        for number, episode in episodes.items()
        for camera in episode.images
    ]
    if not rows:
        return np.full((cell, _MARGIN + n_columns * (cell + _GAP), 3), _PAPER, np.uint8)
    return np.concatenate(rows)


def save_png(image: Array, path: Path) -> None:
    """Write RGB uint8 (H, W, 3) as PNG. Raises StoreError where the disk refuses."""
    import cv2

    if not cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)):
        raise StoreError(f"{path} cannot be written; choose another place for the contact sheet")


def _row(number: int, episode: Episode, camera: str, n_columns: int, cell: int) -> Array:
    import cv2

    frames = episode.images[camera]
    row = np.full((cell + _GAP, _MARGIN + n_columns * (cell + _GAP), 3), _PAPER, np.uint8)
    for column, index in enumerate(np.linspace(0, len(frames) - 1, n_columns).round().astype(int)):
        left = _MARGIN + column * (cell + _GAP)
        way = cv2.INTER_AREA if frames.shape[1] > cell else cv2.INTER_NEAREST
        row[:cell, left : left + cell] = cv2.resize(frames[index], (cell, cell), interpolation=way)
    outcome = str(episode.meta.get("outcome", ""))
    lines = (f"#{number} {camera}", outcome, f"{len(episode)} steps")
    for i, text in enumerate(lines):
        ink = _MARKS.get(text, _INK)
        cv2.putText(row, text[:20], (6, 22 + 20 * i), cv2.FONT_HERSHEY_SIMPLEX, 0.45, ink, 1, cv2.LINE_AA)
    return row
