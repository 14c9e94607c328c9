"""What a real camera is told: which device, how it exposes, which part of the picture the policy sees."""

from __future__ import annotations

import math
from dataclasses import dataclass

from o2o_robot.errors import ConfigError

DRIVERS = ("realsense", "opencv")


@dataclass(frozen=True)
class CameraConfig:
    """Settings of one camera; every number is refused here and not at the first frame.

    device is a RealSense's serial number, or for opencv /dev/v4l/by-id/..., an index, or a video file (for trials).
    Empty is the only camera that is plugged in. An exposure, gain or white balance of 0 is left to the camera.
    crop is (left, top, width, height) in pixels of the raw picture, () all of it; policy_size the side of the square
    that the crop is resized to, 0 none. exposure_offset_s is how long the middle of the exposure lies before the
    driver's own stamp: what `o2o calibrate` measures. calibration is the intrinsics or hand-eye result (.yaml) that
    CameraInfo and the camera's place are taken from; without one CameraInfo says what the device says of itself.
    """

    name: str
    driver: str = "realsense"
    device: str = ""
    width: int = 640
    height: int = 480
    fps: int = 30
    exposure_us: float = 0.0
    gain: float = 0.0
    white_balance_k: float = 0.0
    fourcc: str = ""  # opencv only: MJPG where USB is too slow for raw pictures
    crop: tuple[int, ...] = ()
    policy_size: int = 0
    exposure_offset_s: float = 0.0
    calibration: str = ""
    max_age_s: float = 0.5  # an older frame is not handed out: a policy must not act on what was
    first_frame_s: float = 5.0  # a D400 that just opened takes a second or two
    silent_s: float = 1.0  # without a frame for so long it is taken for unplugged
    retries: int = 20

    def __post_init__(self) -> None:
        if self.driver not in DRIVERS:
            raise ConfigError(f"camera {self.name}: no driver '{self.driver}' (there are {', '.join(DRIVERS)})")
        for field in ("width", "height", "fps", "retries"):
            self._require(field, 1)
        for field in ("exposure_us", "gain", "white_balance_k", "policy_size"):
            self._require(field, 0)
        self._require("exposure_offset_s", -1.0)
        for field in ("max_age_s", "first_frame_s", "silent_s"):
            self._require(field, 0.01)
        if self.fourcc and len(self.fourcc) != 4:
            raise ConfigError(f"camera {self.name}: fourcc '{self.fourcc}' must have four letters, for example MJPG")
        if self.crop:
            self._refuse_crop_outside()

    def _require(self, field: str, least: float) -> None:
        value = getattr(self, field)
        if not (math.isfinite(value) and value >= least):
            raise ConfigError(f"camera {self.name}: {field} is {value}, it must be >= {least}")

    def _refuse_crop_outside(self) -> None:
        size = f"{self.width}x{self.height}"
        if len(self.crop) != 4:
            raise ConfigError(f"camera {self.name}: crop {self.crop} must be left, top, width, height in pixels")
        left, top, width, height = self.crop
        inside = left >= 0 and top >= 0 and left + width <= self.width and top + height <= self.height
        if width < 1 or height < 1 or not inside:
            raise ConfigError(f"camera {self.name}: crop {self.crop} must lie within the picture of {size} pixels")
