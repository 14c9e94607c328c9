"""Puts the twin's cameras where a calibration found the real ones, with their lenses.

The file is a hand-eye or intrinsics result of `o2o calibrate`; o2o_calibration.results describes its entry `camera`.
The twin renders without distortion: its picture is what undistorting the real one gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_robot.robot.camera_view import Intrinsics, View
from o2o_robot.types import Array
from o2o_sim.engine import mujoco

OPTICAL = np.diag([1.0, -1.0, -1.0])  # MuJoCo's cameras look along -z with y up, an optical frame along z with y down


class Placement(NamedTuple):
    """A camera: T_parent_cam (4, 4) of its optical frame in the base's or tool's, None where only its lens is known;
    lens: intrinsics of the raw picture."""

    camera: str
    parent: str
    T_parent_cam: Array | None
    lens: Intrinsics


def read_placement(path: Path) -> Placement:
    """The camera of a result file. Raises ConfigError, or CalibrationError naming the entry that is wrong."""
    try:
        from o2o_calibration.lens import lens_of
        from o2o_calibration.results import camera_place
    except ImportError as problem:
        raise ConfigError(
            f"{path}: reading calibration results needs {problem.name}; pip install 'o2o_robot[calibration]'"
        ) from None
    place = camera_place(path)
    return Placement(place.name, place.parent, place.T_parent_cam, lens_of(place))


def place_cameras(model: mujoco.MjModel, files: Sequence[str], image_size: int) -> None:
    """Move the cameras that the files name. Raises ConfigError where the scene has none of that name and parent."""
    for file in files:
        placement = read_placement(Path(file))
        camera = _camera(model, placement.camera, where=file)
        if placement.T_parent_cam is not None:
            _place(model, camera, placement, placement.T_parent_cam, where=file)
        set_lens(model, camera, square_of(placement.lens, image_size))


def square_of(raw: Intrinsics, side: int, crop: tuple[int, int, int, int] | None = None) -> Intrinsics:
    """The lens of the square picture that a policy sees: `crop` (left, top, width, height), or the middle square."""
    edge = min(raw.width, raw.height)
    box = crop or ((raw.width - edge) // 2, (raw.height - edge) // 2, edge, edge)
    return View(*box, side).intrinsics(raw)


def set_lens(model: mujoco.MjModel, camera: int, lens: Intrinsics) -> None:
    """Give a camera focal lengths and principal point. One pixel is 1 um of a sensor: only the ratio counts."""
    pixel_m = 1e-6
    right_px, down_px = lens.cx_px - (lens.width - 1) / 2, lens.cy_px - (lens.height - 1) / 2
    model.cam_resolution[camera] = lens.width, lens.height
    model.cam_sensorsize[camera] = lens.width * pixel_m, lens.height * pixel_m
    # MuJoCo counts the principal point from the middle, positive to the left and up (seen in its pictures)
    model.cam_intrinsic[camera] = np.array([lens.fx_px, lens.fy_px, -right_px, -down_px]) * pixel_m
    model.cam_fovy[camera] = np.rad2deg(2 * np.arctan(lens.height / (2 * lens.fy_px)))


def lens_of(model: mujoco.MjModel, camera: int, side: int) -> Intrinsics:
    """The lens of a camera's square picture of `side` pixels, whether a calibration gave it one or the scene did."""
    half = (side - 1) / 2
    if model.cam_sensorsize[camera].any():
        fx, fy, left, up = model.cam_intrinsic[camera] / model.cam_sensorsize[camera, [0, 1, 0, 1]] * side
        return Intrinsics(side, side, float(fx), float(fy), half - float(left), half - float(up))
    f_px = float(side / (2 * np.tan(np.deg2rad(model.cam_fovy[camera]) / 2)))
    return Intrinsics(side, side, f_px, f_px, half, half)


def _place(model: mujoco.MjModel, camera: int, placement: Placement, T_parent_cam: Array, *, where: str) -> None:
    """From the frame of the parent to that of the body on which the scene has the camera."""
    body = int(model.cam_bodyid[camera])
    rigid_with = 0 if placement.parent == "base" else model.body_weldid[model.site_bodyid[model.site("tool").id]]
    if model.body_weldid[body] != rigid_with:
        raise ConfigError(
            f"{where}: camera '{placement.camera}' is calibrated in the {placement.parent}'s frame, but the scene's "
            f"rides on '{model.body(body).name}'; give the result of that camera, or rename it"
        )
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    T_world_parent = np.eye(4) if placement.parent == "base" else _site_pose(model, data, "tool")
    T_body_cam = np.linalg.inv(_pose(data.xmat[body], data.xpos[body])) @ T_world_parent @ T_parent_cam
    model.cam_pos[camera] = T_body_cam[:3, 3]
    mujoco.mju_mat2Quat(model.cam_quat[camera], (T_body_cam[:3, :3] @ OPTICAL).ravel())


def _camera(model: mujoco.MjModel, name: str, *, where: str) -> int:
    known = [model.camera(i).name for i in range(model.ncam)]
    if name not in known:
        raise ConfigError(f"{where}: the scene has no camera '{name}'; it has {', '.join(known)}")
    return int(model.camera(name).id)


def _site_pose(model: mujoco.MjModel, data: mujoco.MjData, name: str) -> Array:
    site = model.site(name).id
    return _pose(data.site_xmat[site], data.site_xpos[site])


def _pose(R: Array, position_m: Array) -> Array:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = np.reshape(R, (3, 3)), position_m
    return T
