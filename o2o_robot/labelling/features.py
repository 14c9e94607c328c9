"""What a classifier of outcomes looks at: an episode's last frames, as numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode

Frames = Mapping[str, Array]  # camera -> (N, H, W, 3) uint8
Features = Callable[[Frames], Array]  # -> (N, d) float32
Judge = Callable[[Frames], Array]  # -> probability of success (N,)

N_LAST = 3  # frames at 10 Hz: one blurred or hidden frame does not decide
THUMBNAIL_PX = 32
THUMBNAILS = f"{THUMBNAIL_PX}x{THUMBNAIL_PX} colour thumbnails"


def last_frames(episode: Episode) -> dict[str, Array]:
    """The last N_LAST frames of every camera; where the episode has fewer, its first one again."""
    rows = np.maximum(np.arange(len(episode) + 1 - N_LAST, len(episode) + 1), 0)
    return {camera: image[rows] for camera, image in episode.images.items()}


def thumbnails(frames: Frames) -> Array:
    """Every camera shrunk to 32x32 pixels, its colours side by side, 0 to 1; features where no encoder is given."""
    import cv2

    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    shrunk = [
        np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA).ravel() for image in images])
        for images in frames.values()
    ]
    if not shrunk:
        raise DataError("the episodes have no camera; a classifier of outcomes looks at frames, use a file or --page")
    return np.concatenate(shrunk, axis=1).astype(np.float32) / 255.0
