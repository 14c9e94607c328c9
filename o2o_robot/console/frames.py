"""The newest picture of each camera, and no other: a picture that nobody has fetched is forgotten for the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from o2o_robot.errors import DataError
from o2o_robot.types import Array

MAX_SIDE_PX, JPEG_QUALITY = 640, 80


class Sample(NamedTuple):
    """A picture as it came. at_s: when it was taken, by the console's steady clock; raw is read by `Eyes.decode`."""

    number: int
    at_s: float
    raw: Any


class Picture(NamedTuple):
    """Ready to be sent."""

    number: int
    at_s: float
    jpeg: bytes


class Eyes:
    """`see` for every picture that comes, from its thread; `picture` from whoever shows it: encoded once, when asked.

    decode: raw -> (H, W, 3) uint8 RGB; it may raise DataError for what is no picture.
    """

    def __init__(self, cameras: Sequence[str], decode: Callable[[Any], Array]) -> None:
        self.cameras, self._decode = tuple(cameras), decode
        self._newest: dict[str, Sample] = {}
        self._encoded: dict[str, Picture] = {}
        self.trouble: dict[str, str] = {}

    def see(self, camera: str, raw: Any, at_s: float) -> None:
        before = self._newest.get(camera)
        self._newest[camera] = Sample(before.number + 1 if before else 1, at_s, raw)

    def number(self, camera: str) -> int:
        """Of the newest picture; 0 before the first."""
        newest = self._newest.get(camera)
        return newest.number if newest else 0

    def picture(self, camera: str) -> Picture | None:
        """The newest as a JPEG; None where there is none, or it cannot be read (then `trouble` says why)."""
        newest, known = self._newest.get(camera), self._encoded.get(camera)
        if newest is None or (known is not None and known.number == newest.number):
            return known
        try:
            made = Picture(newest.number, newest.at_s, to_jpeg(self._decode(newest.raw)))
        except DataError as problem:
            self.trouble[camera] = str(problem)
            return None
        self.trouble.pop(camera, None)
        self._encoded[camera] = made
        return made


def to_jpeg(pixels: Array) -> bytes:
    """(H, W, 3) uint8 RGB as a JPEG whose longer side has at most MAX_SIDE_PX."""
    import cv2

    height, width = pixels.shape[:2]
    if max(height, width) > MAX_SIDE_PX:
        shrink = MAX_SIDE_PX / max(height, width)
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes())
