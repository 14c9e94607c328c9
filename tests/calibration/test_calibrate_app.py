"""`o2o calibrate` from photographs of the twin to result files, judged by the model's own camera; and its refusals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tyro
import yaml

pytest.importorskip("mujoco")

from shaken_bags import shaken_bag

from o2o_calibration import results
from o2o_calibration.board import Charuco
from o2o_calibration.errors import CalibrationError
from o2o_calibration.geometry import gap
from o2o_calibration.twin_board import CAMERAS, Photographer, Session
from o2o_robot.apps.calibrate import Keep, main

JOINT = "fr3_joint6"
SQUARES = {"wrist": (0.050, 0.037), "fixed": (0.030, 0.022)}


def calibrate(*words: str | Path | float) -> int:
    return int(tyro.cli(main, args=[str(word) for word in words]))


def photographed(folder: Path, mount: str, n: int = 18) -> Session:
    """Photographs by a camera of the twin, and the truth."""
    shoot = Photographer(CAMERAS[mount], mount, Charuco(7, 5, *SQUARES[mount]))
    return shoot.photograph(folder, n, np.random.default_rng(1))


def kept_results(folder: Path, photos: Path, mount: str) -> Path:
    """The hand-eye result of photographs, intrinsics and all, by the command line."""
    square_m, marker_m = SQUARES[mount]
    board = ("--camera", CAMERAS[mount], "--square-m", square_m, "--marker-m", marker_m)
    kept = ("--results", folder, "--robot", "twin", "--date", "2026-11-21")
    assert calibrate("intrinsics", photos, *board, "--lens", "k1", *kept) == 0
    assert calibrate("hand-eye", photos, "--mount", mount, *board, *kept) == 0
    path = results.latest(folder, "twin", "hand-eye", CAMERAS[mount])
    assert path is not None
    return path


@pytest.mark.parametrize("mount", ["wrist", "fixed"])
def test_the_twins_camera_is_found_from_its_photographs(mount, tmp_path):
    """Focal length to 0.3 %, centre to a pixel, place to 2 mm and 0.15 degrees, and all within twice the interval."""
    truth = photographed(tmp_path / "photos", mount)
    path = kept_results(tmp_path / "results", tmp_path / "photos", mount)
    found, half = results.camera_place(path), results.load(path)["half_width_95"]
    assert found.parent == {"wrist": "tool", "fixed": "base"}[mount]
    assert np.abs(np.diag(found.K) / np.diag(truth.K) - 1).max() < 0.003
    assert np.abs(found.K[:2, 2] - truth.K[:2, 2]).max() < 1.0
    off = gap(truth.T_parent_cam, found.T_parent_cam)
    assert off.mm[0] < min(2.0, 2 * np.linalg.norm(half["xyz_mm"]))
    assert off.deg[0] < min(0.15, 2 * np.linalg.norm(half["xyz_deg"]))
    for suffix in (".html", ".png"):
        assert path.with_suffix(suffix).stat().st_size > 10_000
    assert "Before and after" in path.with_suffix(".html").read_text()


def test_poses_exchanged_between_two_photographs_are_left_out(tmp_path):
    truth = photographed(tmp_path, "wrist", 14)
    poses = yaml.safe_load((tmp_path / "poses.yaml").read_text())
    poses[2]["image"], poses[9]["image"] = poses[9]["image"], poses[2]["image"]
    (tmp_path / "poses.yaml").write_text(yaml.safe_dump(poses))
    path = kept_results(tmp_path / "results", tmp_path, "wrist")
    assert {"view-02.png", "view-09.png"} <= set(results.load(path)["left_out"])
    assert gap(truth.T_parent_cam, results.camera_place(path).T_parent_cam).mm[0] < 2.0


def test_latency_and_twin_fit_are_kept_from_one_recording(tmp_path):
    """A bag of a shaken joint: the twin's parameters and the camera's delay of 40 ms are in the files."""
    truth = {"delay_s": 0.02, f"{JOINT}.stiffness_nm_rad": 500.0, f"{JOINT}.damping_nms_rad": 20.0}
    bag = shaken_bag(tmp_path / "bag", JOINT, truth, camera_late_s=0.040)
    kept = ("--results", tmp_path, "--date", "2026-11-21")
    assert calibrate("latency", bag, "--camera", "wrist", "--image-topic", "/wrist/color/image_raw", *kept) == 0
    found = results.load(results.latest(tmp_path, "fr3", "latency", "wrist"))
    assert found["latency_s"] == pytest.approx(0.040, abs=0.005)
    fitted = ("delay_s", "stiffness_nm_rad", "damping_nms_rad")
    assert calibrate("twin-fit", bag, "--joints", JOINT, "--fit", *fitted, *kept) == 0
    parameters = results.load(results.latest(tmp_path, "fr3", "twin-fit"))["parameters"]
    assert {name: pytest.approx(value, rel=0.1) for name, value in truth.items()} == parameters
    with pytest.raises(CalibrationError, match=r"has no topic /joint_command; it has /joint_states, /target_joint"):
        calibrate("action-latency", bag, "--command-topic", "/joint_command", *kept)


def test_hand_eye_without_intrinsics_says_what_to_run_first(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(CalibrationError, match="run o2o calibrate intrinsics first"):
        calibrate("hand-eye", tmp_path / "photos", "--camera", "wrist", "--mount", "wrist", "--results", tmp_path)


def test_a_chessboard_that_has_no_one_way_up_is_refused_for_hand_eye(tmp_path):
    words = ("--board", "chessboard", "--columns", 7, "--rows", 7, "--results", tmp_path)
    with pytest.raises(CalibrationError, match="looks the same turned by half a turn"):
        calibrate("hand-eye", tmp_path, "--camera", "wrist", "--mount", "wrist", *words)


def test_an_empty_folder_and_a_day_that_is_none_are_refused(tmp_path):
    with pytest.raises(CalibrationError, match="no picture in this folder"):
        calibrate("intrinsics", tmp_path, "--camera", "wrist")
    with pytest.raises(CalibrationError, match="write it like 2026-11-21"):
        _ = Keep(date="21.11.2026").keeping


def test_calibration_never_loads_torch_or_ros():
    code = "import sys, o2o_robot.apps.calibrate; print([m for m in ('torch', 'rclpy') if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.strip() == "[]"
