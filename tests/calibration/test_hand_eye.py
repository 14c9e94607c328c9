"""Hand-eye: the known camera is found again through noise and bad poses, and motions that cannot tell are refused."""

from __future__ import annotations

import numpy as np
import pytest
from boards_and_poses import session, shaken

from o2o_calibration.errors import CalibrationError
from o2o_calibration.geometry import gap, inverse, middle
from o2o_calibration.hand_eye import HandEyeLimits, calibrate
from o2o_calibration.hand_eye_methods import METHODS, equation_sides, solve

MOUNTS = ("wrist", "fixed")


@pytest.mark.parametrize("mount", MOUNTS)
def test_without_noise_every_method_and_the_result_are_exact(mount):
    made = session(np.random.default_rng(0), mount, mm=0.0, deg=0.0)
    for method in METHODS:
        X = solve(*equation_sides(made.T_base_tool, made.T_cam_board, mount), method)
        assert gap(made.T_parent_cam, X).mm[0] < 1e-3, method
    found = calibrate(made.T_base_tool, made.T_cam_board, mount, rng=np.random.default_rng(0), n_bootstrap=5)
    assert gap(made.T_parent_cam, found.T_parent_cam).mm[0] < 1e-3
    assert found.parent == {"wrist": "tool", "fixed": "base"}[mount]


@pytest.mark.parametrize("mount", MOUNTS)
def test_a_fifth_of_gross_outliers_is_left_out_and_does_no_harm(mount):
    rng = np.random.default_rng(3)
    made = session(rng, mount, 20, mm=0.5, deg=0.1)
    bad = np.arange(0, 20, 5)
    boards = made.T_cam_board.copy()
    boards[bad] = shaken(boards[bad], rng, 60.0, 20.0)
    found = calibrate(made.T_base_tool, boards, mount, rng=np.random.default_rng(0), n_bootstrap=20)
    off = gap(made.T_parent_cam, found.T_parent_cam)
    assert not found.is_good[bad].any()
    assert found.is_good.sum() >= 14
    assert off.mm[0] < 1.5
    assert off.deg[0] < 0.15
    naive = solve(*equation_sides(made.T_base_tool, boards, mount), "park")
    assert gap(made.T_parent_cam, naive).mm[0] > 5 * off.mm[0]


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    inside = []
    for seed in range(6):
        made = session(np.random.default_rng(seed), "wrist", 16, mm=1.0, deg=0.15)
        found = calibrate(made.T_base_tool, made.T_cam_board, "wrist", rng=np.random.default_rng(seed), n_bootstrap=16)
        off_mm = np.abs((inverse(made.T_parent_cam) @ found.T_parent_cam)[:3, 3]) * 1e3
        inside += (off_mm <= found.half_width_mm).tolist()
    assert np.mean(inside) >= 0.8


def test_refinement_brings_the_board_nearer_together_than_the_best_closed_form():
    def spread_m(X: np.ndarray, A: np.ndarray, B: np.ndarray) -> float:
        off = gap(middle(A @ X @ B), A @ X @ B)
        lever_m = np.median(np.linalg.norm(B[:, :3, 3], axis=1))
        return float(np.sqrt((off.mm / 1e3) ** 2 + (lever_m * np.deg2rad(off.deg)) ** 2).mean())

    refined, best_closed = [], []
    for seed in range(4):
        made = session(np.random.default_rng(100 + seed), "wrist", 12, mm=2.0, deg=0.2)
        rng, loose = np.random.default_rng(0), HandEyeLimits(50.0, 9.0)
        found = calibrate(made.T_base_tool, made.T_cam_board, "wrist", rng=rng, n_bootstrap=3, limits=loose)
        A, B = equation_sides(made.T_base_tool[found.is_good], made.T_cam_board[found.is_good], "wrist")
        refined.append(spread_m(found.T_parent_cam, A, B))
        best_closed.append(min(spread_m(solve(A, B, method), A, B) for method in METHODS))
    assert np.mean(refined) < np.mean(best_closed)


@pytest.mark.parametrize("mount", MOUNTS)
def test_turns_about_one_axis_are_refused_whatever_the_residuals(mount):
    made = session(np.random.default_rng(0), mount, 20, mm=0.1, deg=0.02, one_axis=True)
    with pytest.raises(CalibrationError, match="tilt the wrist about two axes"):
        calibrate(made.T_base_tool, made.T_cam_board, mount, rng=np.random.default_rng(0))


def test_a_board_that_moved_is_refused():
    rng = np.random.default_rng(0)
    made = session(rng, "wrist", 14)
    boards = shaken(made.T_cam_board, rng, 80.0, 25.0)
    with pytest.raises(CalibrationError, match=r"refused|agree with each other"):
        calibrate(made.T_base_tool, boards, "wrist", rng=np.random.default_rng(0), n_bootstrap=10)


def test_an_interval_wider_than_the_limit_is_refused():
    made = session(np.random.default_rng(0), "wrist", 12, mm=2.0, deg=0.3)
    with pytest.raises(CalibrationError, match=r"place known to \d+\.\d+ mm, at most 0.1"):
        calibrate(
            made.T_base_tool,
            made.T_cam_board,
            "wrist",
            rng=np.random.default_rng(0),
            n_bootstrap=10,
            limits=HandEyeLimits(max_mm=0.1),
        )


def test_doubt_about_the_intrinsics_widens_the_interval():
    made = session(np.random.default_rng(0), "wrist", 16)
    T_base_tool, T_cam_board, _ = made

    def farther(rng: np.random.Generator) -> np.ndarray:
        boards = T_cam_board.copy()
        boards[:, 2, 3] *= 1 + 0.01 * rng.normal()
        return boards

    plain, wider = (
        calibrate(
            T_base_tool,
            T_cam_board,
            "wrist",
            rng=np.random.default_rng(0),
            n_bootstrap=12,
            limits=HandEyeLimits(max_mm=50.0),
            redraw=redraw,
        )
        for redraw in (None, farther)
    )
    assert wider.half_width_mm.max() > 2 * plain.half_width_mm.max()


def test_what_is_no_set_of_poses_is_refused():
    made = session(np.random.default_rng(0), "wrist", 8)
    rng = np.random.default_rng(0)
    with pytest.raises(CalibrationError, match="mounts: wrist, fixed"):
        calibrate(made.T_base_tool, made.T_cam_board, "ceiling", rng=rng)
    with pytest.raises(CalibrationError, match="one of each is needed"):
        calibrate(made.T_base_tool[:-1], made.T_cam_board, "wrist", rng=rng)
    with pytest.raises(CalibrationError, match="not finite"):
        calibrate(made.T_base_tool * np.nan, made.T_cam_board, "wrist", rng=rng)
