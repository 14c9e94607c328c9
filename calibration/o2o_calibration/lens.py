"""A calibrated camera as whoever publishes its pictures needs it: its lens, and its place as a pose."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from o2o_calibration.errors import CalibrationError
from o2o_calibration.results import CameraPlace, camera_place
from o2o_robot.robot.camera_view import Intrinsics
from o2o_robot.robot.rotation import quat_from_matrix
from o2o_robot.types import Pose


class Calibrated(NamedTuple):
    """lens: of the raw picture. parent, pose: the optical frame in the tool's or base's; None where that is unknown."""

    lens: Intrinsics
    parent: str = ""
    pose: Pose | None = None


def calibrated(path: Path, *, camera: str, size_px: tuple[int, int]) -> Calibrated:
    """An intrinsics or hand-eye result, for the camera of that name whose pictures have that (width, height).

    Raises CalibrationError for a result of another camera or size: its pixels are not this camera's.
    """
    place = camera_place(path)
    if place.name != camera:
        raise CalibrationError(f"{path} is of camera '{place.name}', not of '{camera}'; give this camera's own result")
    if (place.width, place.height) != size_px:
        told = f"{path} was measured at {place.width}x{place.height} pixels, '{camera}' gives {size_px[0]}x{size_px[1]}"
        raise CalibrationError(f"{told}; calibrate at the resolution that is used, or set that resolution")
    if place.T_parent_cam is None:
        return Calibrated(lens_of(place))
    T = place.T_parent_cam
    return Calibrated(lens_of(place), place.parent, Pose(T[:3, 3], quat_from_matrix(T[:3, :3])))


def lens_of(place: CameraPlace) -> Intrinsics:
    """Its K and distortion by name."""
    K = place.K
    fx_px, fy_px, cx_px, cy_px = float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2])
    return Intrinsics(place.width, place.height, fx_px, fy_px, cx_px, cy_px, tuple(place.distortion.tolist()))
