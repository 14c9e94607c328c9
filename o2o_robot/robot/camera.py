"""The camera contract: what every camera, real or simulated, promises."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from o2o_robot.errors import O2OError
from o2o_robot.types import Array


class CameraError(O2OError):
    """A camera is not there, refuses a setting, or has no fresh frame to give."""


class Frame(NamedTuple):
    """One picture (H, W, 3) uint8 RGB, with the stamp of its exposure."""

    stamp_ns: int
    image: Array


class Camera(Protocol):
    """A camera that always has a latest frame.

    with contextlib.closing(camera):
        frame = camera.read()
    """

    name: str

    def read(self) -> Frame:
        """The latest frame, whose image the caller may keep. Raises CameraError where there is none that is fresh."""
        ...

    def close(self) -> None:
        """Let go of the device. Closing twice does no harm."""
        ...
