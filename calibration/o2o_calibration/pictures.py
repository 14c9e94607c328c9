"""Pictures to calibrate from: a folder of image files, or the frames of an episode."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2

from o2o_calibration.board import Board, Corners
from o2o_calibration.errors import CalibrationError
from o2o_robot.data.store import EpisodeStore
from o2o_robot.types import Array

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


class Picture(NamedTuple):
    """A grey picture (H, W) uint8 and what to call it."""

    name: str
    grey: Array


class View(NamedTuple):
    """A picture in which the board was found."""

    name: str
    corners: Corners


class Views(NamedTuple):
    """The board in every picture that shows it; size_px (width, height); missed: the names of the others."""

    views: tuple[View, ...]
    size_px: tuple[int, int]
    missed: tuple[str, ...]


def from_folder(folder: Path) -> list[Picture]:
    """Every image file of a folder, by name. Raises CalibrationError where there is none, or one is damaged."""
    files = sorted(f for f in folder.glob("*") if f.suffix.lower() in SUFFIXES) if folder.is_dir() else []
    if not files:
        raise CalibrationError(f"{folder}: no picture in this folder (known: {', '.join(SUFFIXES)})")
    return [Picture(file.name, _grey(file)) for file in files]


def from_store(store: Path, camera: str, episode: int, *, every: int = 1) -> list[Picture]:
    """Every n-th frame of a camera in one episode, named by its row. Raises CalibrationError for an unknown camera."""
    with EpisodeStore.open(store) as episodes:
        images = episodes.read(episode).images
    if camera not in images:
        raise CalibrationError(f"{store} has no camera '{camera}'; it has {', '.join(images) or 'none'}")
    frames = images[camera]
    return [
        Picture(f"row {i}", cv2.cvtColor(frames[i], cv2.COLOR_RGB2GRAY)) for i in range(0, len(frames), max(every, 1))
    ]


def find_board(pictures: list[Picture], board: Board) -> Views:
    """The board in each picture. Raises CalibrationError for pictures of different sizes: they are of two cameras."""
    size_px = pictures[0].grey.shape[1], pictures[0].grey.shape[0]
    found, missed = [], []
    for name, grey in pictures:
        if (grey.shape[1], grey.shape[0]) != size_px:
            told = f"{grey.shape[1]}x{grey.shape[0]}, {pictures[0].name} {size_px[0]}x{size_px[1]} pixels"
            raise CalibrationError(f"{name} is {told}; give the pictures of one camera at one resolution")
        corners = board.find(grey)
        if corners is None:
            missed.append(name)
        else:
            found.append(View(name, corners))
    return Views(tuple(found), size_px, tuple(missed))


def _grey(file: Path) -> Array:
    grey = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise CalibrationError(f"{file}: not a picture that can be read; delete it or export it again")
    return grey
