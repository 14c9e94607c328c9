"""The part of a camera's picture that the policy sees, and the intrinsics that belong to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from o2o_robot.robot.camera_config import CameraConfig
from o2o_robot.types import Array


class Intrinsics(NamedTuple):
    """A pinhole camera in pixels, the centre of the first pixel at (0, 0); distortion is k1, k2, p1, p2, k3."""

    width: int
    height: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float
    distortion: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class View:
    """Crops a box and resizes it to a square: (H, W, 3) uint8 in, (side, side, 3) out; the input is left as found.

    Shrinking averages areas, so that fine texture does not shimmer; it is what `o2o ingest` does to raw pictures.
    """

    left: int
    top: int
    width: int
    height: int
    side: int

    @staticmethod
    def of(config: CameraConfig) -> View:
        """The view that a camera's settings ask for; without a policy_size there is none to ask for."""
        left, top, width, height = config.crop or (0, 0, config.width, config.height)
        return View(left, top, width, height, config.policy_size)

    def __call__(self, image: Array) -> Array:
        import cv2

        box = image[self.top : self.top + self.height, self.left : self.left + self.width]
        way = cv2.INTER_AREA if self.side < min(self.width, self.height) else cv2.INTER_LINEAR
        return cv2.resize(np.ascontiguousarray(box), (self.side, self.side), interpolation=way)

    def intrinsics(self, raw: Intrinsics) -> Intrinsics:
        """The camera that would have taken the resized picture. Distortion is of rays, and stays.

        A resize keeps the picture's outer edges, which lie half a pixel outside the first and last pixels' centres.
        """
        sx, sy = self.side / self.width, self.side / self.height
        cx_px = (raw.cx_px - self.left + 0.5) * sx - 0.5
        cy_px = (raw.cy_px - self.top + 0.5) * sy - 0.5
        return Intrinsics(self.side, self.side, raw.fx_px * sx, raw.fy_px * sy, cx_px, cy_px, raw.distortion)
