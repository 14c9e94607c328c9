"""How far a picture moved since the one before, from corners that are followed (Lucas and Kanade, by OpenCV)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

from o2o_robot.types import Array

_LEAST_POINTS = 8
_SIDE_PX = 320  # wider pictures are halved until they are no wider: motion is followed as well, four times as fast


def image_motion(grey: Sequence[Array]) -> Array:
    """Median shift (n - 1, 2) in pixels, right and down, from each picture (H, W) uint8 to the next.

    A row is NaN where too little could be followed: a blank, dark or blurred picture, or a jump too far.
    """
    small = [_shrunk(picture) for picture in grey]
    scale = grey[0].shape[1] / small[0].shape[1] if grey else 1.0
    moved = [_shift(before, after) for before, after in pairwise(small)]
    return scale * np.array(moved).reshape(-1, 2)


def _shrunk(grey: Array) -> Array:
    while grey.shape[1] > _SIDE_PX:
        grey = cv2.pyrDown(grey)
    return grey


def _shift(before: Array, after: Array) -> Array:
    lost = np.full(2, np.nan)
    points = cv2.goodFeaturesToTrack(before, maxCorners=120, qualityLevel=0.02, minDistance=5)
    if points is None:
        return lost
    there, is_found = _followed(before, after, points)
    back, is_back = _followed(after, before, there)
    returns = np.linalg.norm((back - points).reshape(-1, 2), axis=1) < 1.0  # followed there and back to where it was
    good = is_found & is_back & returns
    if good.sum() < _LEAST_POINTS:
        return lost
    return np.asarray(np.median((there - points).reshape(-1, 2)[good], axis=0), np.float64)


def _followed(before: Array, after: Array, points: Array) -> tuple[Array, Array]:
    """Where points (n, 1, 2) have gone, and which of them were found (n,) bool."""
    there, is_found, _ = cv2.calcOpticalFlowPyrLK(before, after, points, points.copy(), winSize=(21, 21), maxLevel=3)
    return np.asarray(there), np.asarray(is_found).ravel() == 1
