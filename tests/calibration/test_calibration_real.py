"""Calibration against real photographs and logs, where they are there: ../shared/data of the checkout."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from o2o_calibration import hand_eye, recording
from o2o_calibration.action_latency import ActionLimits, action_latency
from o2o_calibration.board import Chessboard
from o2o_calibration.errors import CalibrationError
from o2o_calibration.friction import joint_friction
from o2o_calibration.geometry import from_vector
from o2o_calibration.intrinsics import calibrate
from o2o_calibration.pictures import Views, find_board, from_folder
from o2o_calibration.poses import board_pose

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FACTORY_K = np.array([[607.593, 0.0, 323.463], [0.0, 607.575, 243.255], [0.0, 0.0, 1.0]])
RIGHT_ARM = tuple(
    f"kRight{part}" for part in ("ShoulderRoll", "ShoulderYaw", "Elbow", "WristRoll", "WristPitch", "WristYaw")
)


def folder(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"no recording at {DATA / name}")
    return DATA / name


@pytest.fixture(scope="module")
def visp() -> tuple[Path, Views]:
    where = folder("visp-franka-handeye") / "data-eye-in-hand"
    return where, find_board(from_folder(where), Chessboard(9, 6, 0.0236))


def test_opencvs_own_photographs_give_its_published_camera():
    """Every board is found; the tutorial's residual is about 0.2 px, its focal lengths 532 to 537 px."""
    found = find_board(from_folder(folder("opencv-doc-calib")), Chessboard(9, 6, 0.025))
    assert len(found.views) == 13
    result = calibrate(found, lens="k3")
    assert 0.1 < result.rms_px < 0.25
    assert result.values["fx"] == pytest.approx(534.5, abs=3.0)
    assert result.values["k1"] == pytest.approx(-0.28, abs=0.03)
    with pytest.raises(CalibrationError, match=r"reprojection error 1\.\d+ px"):
        calibrate(found, lens="none")  # this lens is no pinhole


def test_a_franka_wrist_camera_agrees_with_its_factory_intrinsics(visp):
    """Within 1.5 %: eight photographs against a factory calibration without distortion terms."""
    result = calibrate(visp[1], lens="k1")
    assert len(visp[1].views) == 8
    assert result.rms_px < 0.4
    for name, truth in (("fx", 607.593), ("fy", 607.575), ("cx", 323.463), ("cy", 243.255)):
        assert result.values[name] == pytest.approx(truth, rel=0.015), name


def franka_poses(where: Path, found: Views) -> tuple[np.ndarray, np.ndarray]:
    def vector(name: str) -> np.ndarray:
        number = re.findall(r"\d+", name)[0]
        return np.array(yaml.safe_load((where / f"franka_pose_rPe_{number}.yaml").read_text())["data"])[:, 0]

    A = np.array([from_vector(vector(view.name)) for view in found.views])
    return A, np.array([board_pose(view, FACTORY_K, np.zeros(5)) for view in found.views])


def test_a_real_franka_session_of_eight_views_gives_agreeing_methods_and_is_refused_at_the_default_bound(visp):
    A, B = franka_poses(*visp)
    loose = hand_eye.HandEyeLimits(max_mm=8.0, max_deg=1.0, max_residual_mm=6.0)
    result = hand_eye.calibrate(A, B, "wrist", rng=np.random.default_rng(0), limits=loose)
    for name in ("tsai", "park", "horaud", "daniilidis"):
        assert result.by_method[name].mm[0] < 3.0, name
        assert result.by_method[name].deg[0] < 0.3, name
    # the camera of this set is 58 mm before and 34 mm beside the flange, turned a quarter; so all four methods say
    assert result.T_parent_cam[:3, 3] == pytest.approx([0.058, -0.034, -0.041], abs=0.004)
    assert np.median(result.residual.mm) == pytest.approx(5.0, abs=1.5)
    with pytest.raises(CalibrationError, match=r"place known to .* mm, at most 5"):
        hand_eye.calibrate(A, B, "wrist", rng=np.random.default_rng(0))


def test_a_real_session_with_two_poses_exchanged_finds_both(visp):
    A, B = franka_poses(*visp)
    swapped = A.copy()
    swapped[[1, 6]] = A[[6, 1]]
    loose = hand_eye.HandEyeLimits(max_mm=20.0, max_deg=3.0, max_residual_mm=8.0, max_residual_deg=1.0)
    result = hand_eye.calibrate(swapped, B, "wrist", rng=np.random.default_rng(0), limits=loose, n_bootstrap=10)
    assert np.flatnonzero(~result.is_good).tolist() == [1, 6]


@pytest.mark.parametrize("episode", [1, 2])
def test_a_real_humanoids_arm_follows_its_command_after_a_sixth_of_a_second(episode):
    """Its arm after 0.14 to 0.2 s, its hand after 0.3; both together are refused, for there is no one latency."""
    bag = folder("g1-bags") / f"g1_bottle_ep{episode}"
    state = recording.joints(bag, "/joint_states")
    command = recording.joints(bag, "/joint_command", state.names)
    start_s = state.signal.t_s[0]
    sides = recording.since(start_s, command.signal), recording.since(start_s, state.signal)
    with pytest.raises(CalibrationError, match="name joints of one kind"):
        action_latency(*sides, state.names, rng=np.random.default_rng(0))
    loose = ActionLimits(max_half_width_s=0.2)
    everything = action_latency(*sides, state.names, rng=np.random.default_rng(0), limits=loose)
    assert everything.latency_s == pytest.approx(0.3, abs=0.06)
    arm = [a.latency_s for a in everything.joints if a.name in RIGHT_ARM]
    hand = [a.latency_s for a in everything.joints if "RightHand" in a.name]
    assert len(arm) == 6
    assert np.median(arm) == pytest.approx(0.17, abs=0.03)
    assert np.median(hand) == pytest.approx(0.34, abs=0.04)


@pytest.mark.parametrize(
    ("joint", "gain", "viscous", "coulomb"), [(1, 10.0, 21.256, 12.548), (3, 8.4566, 10.378, 4.994)]
)
def test_friction_of_a_real_ur10e_is_what_was_identified_for_it(joint, gain, viscous, coulomb):
    """Within a fifth of the parameters published beside the log, which were fitted to other motions of all joints."""
    log = folder("ur10e-logs") / "jointwise_motion" / f"ur-20_01_22-joint_{joint}.csv"
    t, q, dq, current = np.genfromtxt(log, delimiter=",", usecols=(0, joint, 6 + joint, 12 + joint)).T
    found = joint_friction(t, q, dq, gain * current)
    assert found.explained > 0.97
    assert found.viscous_nms_rad.value == pytest.approx(viscous, rel=0.2)
    assert found.coulomb_nm.value == pytest.approx(coulomb, rel=0.2)
