"""The boards a camera is calibrated with: where their corners are, and how they are found in a picture.

Both give corners in one frame: origin at a corner of the pattern, x along columns, y along rows, z = 0 on the paper,
positive into it. That is OpenCV's convention since 4.6; ChArUco boards printed with an even number of rows by older
versions have another pattern, which `legacy` names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from o2o_calibration.errors import CalibrationError
from o2o_robot.types import Array

KINDS = ("charuco", "chessboard")
_LEAST_CORNERS = 8  # of a partly hidden ChArUco board; a view needs six parameters of pose, and something to spare


class Corners(NamedTuple):
    """What was found of a board: points_m (n, 3) in its frame, and the same in the picture, pixels (n, 2)."""

    points_m: Array
    pixels: Array


class Board(Protocol):
    @property
    def points_m(self) -> Array:
        """Every corner (n, 3) in the board's frame."""
        ...

    @property
    def convention(self) -> str:
        """Pattern, origin and axes in words, for the result file."""
        ...

    def find(self, grey: Array) -> Corners | None:
        """The corners seen in a picture (H, W) uint8, to a fraction of a pixel; None where the board is not found."""
        ...


@dataclass(frozen=True)
class Charuco:
    """`columns` by `rows` squares with a marker in each white one; may be partly hidden."""

    columns: int
    rows: int
    square_m: float
    marker_m: float
    dictionary: str = "DICT_5X5_100"
    legacy: bool = False

    def __post_init__(self) -> None:
        _check_size(self.columns, self.rows, self.square_m, least=3)
        if not 0 < self.marker_m < self.square_m:
            raise CalibrationError(
                f"marker_m must be > 0 and < square_m={self.square_m}, got {self.marker_m}; measure the print"
            )
        if not hasattr(cv2.aruco, self.dictionary):
            raise CalibrationError(
                f"no ArUco dictionary '{self.dictionary}'; OpenCV has DICT_4X4_50, DICT_5X5_100, ..."
            )

    @property
    def pattern(self) -> cv2.aruco.CharucoBoard:
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))
        pattern = cv2.aruco.CharucoBoard((self.columns, self.rows), self.square_m, self.marker_m, dictionary)
        pattern.setLegacyPattern(self.legacy)
        return pattern

    @property
    def points_m(self) -> Array:
        return np.asarray(self.pattern.getChessboardCorners(), np.float64)

    @property
    def convention(self) -> str:
        pattern = "legacy pattern (before OpenCV 4.6)" if self.legacy else "pattern of OpenCV 4.6 and later"
        return (
            f"ChArUco {self.columns}x{self.rows} squares of {self.square_m * 1e3:g} mm, {self.dictionary} markers of "
            f"{self.marker_m * 1e3:g} mm, {pattern}; origin at the outer corner of the first square, x along columns, "
            "y along rows, z into the board"
        )

    def find(self, grey: Array) -> Corners | None:
        corners, ids, _, _ = cv2.aruco.CharucoDetector(self.pattern).detectBoard(grey)
        if ids is None or len(ids) < _LEAST_CORNERS:
            return None
        points_m = self.points_m[ids.ravel()]
        if min(np.ptp(points_m[:, 0]), np.ptp(points_m[:, 1])) < self.square_m / 2:
            return None  # a single row says nothing of the board's tilt about it
        return Corners(points_m, corners.reshape(-1, 2).astype(np.float64))

    def image(self, pixels_per_square: int) -> Array:
        """The board as it is printed, without a margin, (rows, columns) * pixels_per_square, uint8."""
        size = (self.columns * pixels_per_square, self.rows * pixels_per_square)
        return np.asarray(self.pattern.generateImage(size, marginSize=0))


@dataclass(frozen=True)
class Chessboard:
    """`columns` by `rows` inner corners, all of which must be seen."""

    columns: int
    rows: int
    square_m: float

    def __post_init__(self) -> None:
        _check_size(self.columns, self.rows, self.square_m, least=3)

    @property
    def points_m(self) -> Array:
        grid = np.mgrid[0 : self.columns, 0 : self.rows].T.reshape(-1, 2) * self.square_m
        return np.column_stack([grid, np.zeros(len(grid))])

    @property
    def has_one_way_up(self) -> bool:
        """False where the board looks the same turned by half a turn, so that no pose of it can be told."""
        return (self.columns + self.rows) % 2 == 1

    @property
    def convention(self) -> str:
        return (
            f"chessboard of {self.columns}x{self.rows} inner corners, squares of {self.square_m * 1e3:g} mm; origin at "
            "an inner corner whose square toward the middle is black, x along columns, y along rows, z into the board"
        )

    def find(self, grey: Array) -> Corners | None:
        flags = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE
        is_found, corners = cv2.findChessboardCorners(grey, (self.columns, self.rows), flags=flags)
        if not is_found:
            return None
        pixels = self._refined(grey, corners.reshape(-1, 2))
        return Corners(self.points_m, pixels)  # OpenCV itself begins at a black one, where there is one way up

    def _refined(self, grey: Array, pixels: Array) -> Array:
        """Each corner moved to where the picture's gradients meet, looking no further than 0.4 squares around."""
        grid = pixels.reshape(self.rows, self.columns, 2)
        nearest = min(np.linalg.norm(np.diff(grid, axis=a), axis=-1).min() for a in (0, 1))
        half = int(np.clip(0.4 * nearest, 2, 11))
        stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 40, 1e-3)
        refined = cv2.cornerSubPix(grey, pixels.reshape(-1, 1, 2).astype(np.float32), (half, half), (-1, -1), stop)
        return refined.reshape(-1, 2).astype(np.float64)


@dataclass(frozen=True)
class BoardSettings:
    """The printed board."""

    board: str = "charuco"
    """charuco, or chessboard."""
    columns: int = 7
    """Squares along a row of a ChArUco board; inner corners of a chessboard."""
    rows: int = 5
    """The same, down a column."""
    square_m: float = 0.030
    """Side of a square as measured on the print, in metres."""
    marker_m: float = 0.022
    """Side of a marker, in metres (ChArUco)."""
    dictionary: str = "DICT_5X5_100"
    """OpenCV's name of the marker dictionary (ChArUco)."""
    legacy: bool = False
    """The board was generated by OpenCV older than 4.6 (ChArUco)."""

    def build(self) -> Charuco | Chessboard:
        if self.board == "charuco":
            return Charuco(self.columns, self.rows, self.square_m, self.marker_m, self.dictionary, self.legacy)
        if self.board == "chessboard":
            return Chessboard(self.columns, self.rows, self.square_m)
        raise CalibrationError(f"there is no board '{self.board}'; boards: {', '.join(KINDS)}")


def _check_size(columns: int, rows: int, square_m: float, *, least: int) -> None:
    if min(columns, rows) < least:
        raise CalibrationError(f"a board needs at least {least}x{least}, got {columns}x{rows}; count again")
    if not 0 < square_m < 1:
        raise CalibrationError(f"square_m must be > 0 and < 1, got {square_m}; it is in metres, 0.030 is 30 mm")
