"""Which driver a camera's settings ask for. Neither library is loaded before a camera is opened."""

from __future__ import annotations

from typing import Any

from o2o_robot.robot.camera_config import CameraConfig
from o2o_robot.robot.camera_live import LiveCamera
from o2o_robot.robot.opencv_camera import OpenCvCamera
from o2o_robot.robot.realsense import Realsense

CAMERAS: dict[str, type[LiveCamera]] = {"realsense": Realsense, "opencv": OpenCvCamera}


def make_camera(config: CameraConfig, **clocks: Any) -> LiveCamera:
    """The camera, not opened yet; `clocks` as LiveCamera takes them."""
    return CAMERAS[config.driver](config, **clocks)
