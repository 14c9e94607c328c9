"""A camera placed by a calibration result sees known points at the very pixels that its file says."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("o2o_sim.engine", reason="needs mujoco")
pytest.importorskip("o2o_calibration.results", reason="needs OpenCV and SciPy")
from o2o_calibration import results
from o2o_robot.errors import ConfigError, O2OError
from o2o_robot.robot.camera_view import Intrinsics
from o2o_sim.config import ReachConfig, TwinConfig
from o2o_sim.placement import OPTICAL, lens_of, set_lens, square_of
from o2o_sim.randomize_config import CameraSpread, Randomization
from o2o_sim.spread import Spread
from o2o_sim.twin import Twin

RADIUS_M, SIZE_PX = 0.008, 256
K = np.array([[430.0, 0.0, 331.0], [0.0, 445.0, 228.0], [0.0, 0.0, 1.0]])  # of 640x480, its centre well off the middle
REACH = ReachConfig(radius_m=RADIUS_M, region_x_m=(0.44, 0.56), region_y_m=(-0.09, 0.09))


def pose(R: np.ndarray, position_m: np.ndarray) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R.reshape(3, 3), position_m
    return T


def tilt(axis: int, angle_rad: float) -> np.ndarray:
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.insert(np.insert(np.array([[c, -s], [s, c]]), axis, 0, 0), axis, np.eye(3)[axis], 1)


def poses_of(twin: Twin, camera: str) -> tuple[np.ndarray, np.ndarray]:
    """T_base_cam (optical frame) and T_base_tool of a twin as it is."""
    seen, tool = twin._data.camera(camera), twin._data.site("tool")
    return pose(seen.xmat.reshape(3, 3) @ OPTICAL, seen.xpos), pose(tool.xmat, tool.xpos)


def written(folder: Path, camera: str, parent: str, T_parent_cam: np.ndarray | None, what: str = "hand-eye") -> str:
    """A result file as o2o calibrate leaves it."""
    day = date(2026, 11, 21)
    place = results.CameraPlace(camera, parent, T_parent_cam, K, np.zeros(5), 640, 480, day)
    facts = {"what": what, "date": day.isoformat(), "camera": place.as_mapping()}
    return str(results.save(results.path_of(folder, "twin", day, what, camera), facts))


def moved(twin: Twin, camera: str, parent: str) -> np.ndarray:
    """T_parent_cam of a camera that was knocked by some centimetres and degrees."""
    T_base_cam, T_base_tool = poses_of(twin, camera)
    knocked = T_base_cam @ pose(tilt(0, 0.06) @ tilt(1, -0.05) @ tilt(2, 0.3), np.array([0.02, -0.015, -0.03]))
    return knocked if parent == "base" else np.linalg.inv(T_base_tool) @ knocked


def sphere_px(image: np.ndarray, area_px: float) -> np.ndarray | None:
    """Where the middle of the red sphere is, (column, row); None where it is hidden or cut off."""
    rgb = image.astype(int)
    rows, columns = np.nonzero((rgb[..., 0] > 60) & (rgb[..., 0] > 3 * rgb[..., 1]))
    is_whole = 0.85 * area_px < len(rows) < 1.2 * area_px and min(rows.min(), columns.min()) > 0
    is_whole = is_whole and max(rows.max(), columns.max()) < SIZE_PX - 1
    return np.array([columns.mean(), rows.mean()]) if is_whole else None


@pytest.mark.parametrize(
    ("robot", "camera", "parent"), [("fr3", "front", "base"), ("fr3", "wrist", "tool"), ("ur5e", "front", "base")]
)
def test_known_points_are_where_the_file_projects_them_to_within_a_pixel(
    tmp_path: Path, robot: str, camera: str, parent: str
) -> None:
    config = TwinConfig(task="reach", robot=robot, cameras=(camera,), image_size=SIZE_PX, reach=REACH)
    T_parent_cam = moved(Twin(config), camera, parent)
    file = written(tmp_path, camera, parent, T_parent_cam)
    scale = SIZE_PX / 480
    with Twin(TwinConfig(**{**vars(config), "placements": (file,)})) as twin:
        errors_px = []
        for seed in range(25):
            twin.reset(seed)
            T_base_tool = poses_of(twin, camera)[1]
            T_base_cam = T_parent_cam if parent == "base" else T_base_tool @ T_parent_cam
            point = np.linalg.inv(T_base_cam) @ np.append(twin.task_state().privileged[:3], 1.0)
            raw = (K @ point[:3])[:2] / point[2]
            expected = (raw - [80, 0] + 0.5) * scale - 0.5  # the middle 480 x 480, shrunk to the policy's square
            area_px = np.pi * (RADIUS_M / point[2]) ** 2 * K[0, 0] * K[1, 1] * scale**2
            if (found := sphere_px(twin.image(camera), area_px)) is not None:
                errors_px.append(np.abs(found - expected).max())
    assert len(errors_px) >= 6
    assert max(errors_px) < 1.0


def test_a_lens_alone_leaves_the_camera_where_it_is(tmp_path: Path) -> None:
    plain = Twin(TwinConfig(cameras=("front",)))
    file = written(tmp_path, "front", "", None, what="intrinsics")
    placed = Twin(TwinConfig(cameras=("front",), placements=(file,)))
    np.testing.assert_array_equal(poses_of(plain, "front")[0], poses_of(placed, "front")[0])
    assert placed._model.cam_sensorsize[placed._model.camera("front").id].all()
    with plain, placed:
        assert (plain.image("front") != placed.image("front")).any()


def test_the_square_of_a_raw_picture_is_its_middle_unless_a_crop_is_given() -> None:
    raw = Intrinsics(640, 480, 400.0, 410.0, 319.5, 239.5)
    lens = square_of(raw, 240)
    assert (lens.width, lens.height, lens.fx_px, lens.fy_px) == (240, 240, 200.0, 205.0)
    assert (lens.cx_px, lens.cy_px) == (119.5, 119.5)  # the middle stays the middle
    assert square_of(raw, 100, crop=(0, 0, 100, 100)).cx_px == 319.5


def test_a_placed_camera_is_still_randomised_about_its_place(tmp_path: Path) -> None:
    T_base_cam = moved(Twin(TwinConfig(cameras=())), "front", "base")
    spread = Randomization(cameras=CameraSpread(Spread(-5, 5), fov_deg=Spread(1.0, 1.0001)))
    file = written(tmp_path, "front", "base", T_base_cam)
    twin = Twin(TwinConfig(cameras=(), placements=(file,), randomization=spread))
    fy_now_px = twin._model.cam_intrinsic[twin._model.camera("front").id, 1] * 1e6
    fy_px = K[1, 1] * 64 / 480
    wider = 2 * np.arctan(64 / (2 * fy_now_px)) - 2 * np.arctan(64 / (2 * fy_px))
    assert np.rad2deg(wider) == pytest.approx(1.0, abs=1e-3)
    assert 0 < np.linalg.norm(poses_of(twin, "front")[0][:3, 3] - T_base_cam[:3, 3]) < 5e-3 * np.sqrt(3)


@pytest.mark.parametrize(
    ("camera", "parent", "says"),
    [("wrist", "base", "rides on"), ("front", "tool", "rides on"), ("ceiling", "base", "wrist")],
)
def test_a_result_that_does_not_fit_the_scene_is_refused(tmp_path: Path, camera: str, parent: str, says: str) -> None:
    file = written(tmp_path, camera, parent, np.eye(4))
    with pytest.raises(ConfigError, match=says):
        Twin(TwinConfig(cameras=(), placements=(file,)))


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(O2OError, match="nowhere"):
        Twin(TwinConfig(cameras=(), placements=(str(tmp_path / "nowhere.yaml"),)))


@pytest.mark.parametrize("is_calibrated", [True, False])
def test_a_lens_is_read_back_as_it_was_given(tmp_path: Path, is_calibrated: bool) -> None:
    side = 64
    with Twin(TwinConfig(image_size=side)) as twin:
        model, camera = twin._model, twin._model.camera("front").id
        given = lens_of(model, camera, side)
        assert given.fy_px == pytest.approx(side / 2 / np.tan(np.deg2rad(model.cam_fovy[camera]) / 2))
        if is_calibrated:
            given = Intrinsics(side, side, 71.0, 73.0, 30.0, 35.0)
            set_lens(model, camera, given)
        assert np.allclose(twin.lens("front")[:6], given[:6])
