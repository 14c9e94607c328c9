"""Intrinsics: the known camera is found again, its interval holds it, and what is not supported is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from boards_and_poses import BOARD, DISTORTION, SIZE_PX, K, poses_before, seen, views
from scipy.spatial.transform import Rotation

from o2o_calibration.board import Charuco, Chessboard
from o2o_calibration.errors import CalibrationError
from o2o_calibration.geometry import transform
from o2o_calibration.intrinsics import IntrinsicsLimits, calibrate
from o2o_calibration.pictures import Picture, View, Views, find_board, from_folder


def test_the_known_camera_is_found_within_its_own_interval():
    """Over six draws of poses and noise: most values within the 95 % interval, and all within two and a half."""
    truth = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2], "k1": DISTORTION[0], "k2": DISTORTION[1]}
    inside, doubly = [], []
    for seed in range(6):
        found = calibrate(views(np.random.default_rng(seed), 16))
        off = {name: abs(found.values[name] - value) for name, value in truth.items()}
        inside += [off[name] <= found.half_width[name] for name in truth]
        doubly += [off[name] <= 2.5 * found.half_width[name] for name in truth]
    assert np.mean(inside) >= 0.85
    assert all(doubly)


def test_the_reprojection_error_is_that_of_the_corners():
    found = calibrate(views(np.random.default_rng(0), 20, noise_px=0.2))
    assert found.rms_px == pytest.approx(0.2 * np.sqrt(2), rel=0.1)


def test_views_that_do_not_fit_are_left_out_and_named():
    good = views(np.random.default_rng(1), 20)
    rng = np.random.default_rng(2)
    bent = [
        v._replace(corners=v.corners._replace(pixels=v.corners.pixels + rng.normal(0, 6, v.corners.pixels.shape)))
        for v in good.views[:3]
    ]
    found = calibrate(good._replace(views=(*bent, *good.views[3:])))
    assert [v.name for v in found.views if not v.is_used] == [v.name for v in bent]
    assert found.values["fx"] == pytest.approx(K[0, 0], rel=0.005)


@pytest.mark.parametrize("lens", ["none", "k1"])
def test_a_lens_model_that_is_too_poor_is_refused(lens):
    with pytest.raises(CalibrationError, match="reprojection error"):
        calibrate(
            views(np.random.default_rng(1), 20, distortion=np.array([-0.35, 0.3, 0.01, -0.01, 0.0])),
            lens=lens,
            limits=IntrinsicsLimits(max_rms_px=0.3),
        )


def test_views_of_one_tilt_are_refused_and_told_to_tilt():
    rng = np.random.default_rng(0)
    flat = poses_before(BOARD, rng, 12)
    for T in flat:
        middle = T @ [*BOARD.points_m.mean(axis=0), 1]
        T[:3, :3] = Rotation.from_rotvec([*rng.uniform(-0.06, 0.06, 2), 0]).as_matrix()
        T[:3, 3] = middle[:3] - T[:3, :3] @ BOARD.points_m.mean(axis=0)
    found = Views(tuple(View(f"view {i}", seen(BOARD, T, rng)) for i, T in enumerate(flat)), SIZE_PX, ())
    with pytest.raises(CalibrationError, match="tilt it to both sides"):
        calibrate(found)


def test_a_board_seen_only_in_the_middle_is_refused_with_the_parts_to_photograph():
    rng = np.random.default_rng(0)
    poses = poses_before(BOARD, rng, 12, far_m=1.2)
    centred = [T.copy() for T in poses]
    for T in centred:
        T[:2, 3] = -(T[:3, :3] @ BOARD.points_m.mean(axis=0))[:2]
    found = Views(tuple(View(f"view {i}", seen(BOARD, T, rng)) for i, T in enumerate(centred)), SIZE_PX, ())
    with pytest.raises(CalibrationError, match=r"photograph the board in the upper left, .*lower right"):
        calibrate(found)


def test_an_interval_wider_than_the_limit_is_refused():
    with pytest.raises(CalibrationError, match=r"focal length known to 0\.\d+ %, at most 0.001"):
        calibrate(views(np.random.default_rng(0), 20), limits=IntrinsicsLimits(max_focal_percent=0.001))


def test_too_few_views_are_refused_with_how_many_there_were():
    few = views(np.random.default_rng(0), 20)
    with pytest.raises(CalibrationError, match="found in 4 of 5 pictures, 6 are needed"):
        calibrate(few._replace(views=few.views[:4], missed=("blurred.png",)))


def drawn(
    board: Charuco | Chessboard, T_cam_board: np.ndarray, pattern: np.ndarray, margin_px: int, square_px: int
) -> np.ndarray:
    """A picture of a printed pattern before the undistorted known camera."""

    origin_px = margin_px + (0 if isinstance(board, Charuco) else square_px)
    metres = board.square_m / square_px
    to_plane = np.array([[metres, 0, -(origin_px - 0.5) * metres], [0, metres, -(origin_px - 0.5) * metres], [0, 0, 1]])
    H = K @ T_cam_board[:3, [0, 1, 3]] @ to_plane
    return cv2.warpPerspective(pattern, H, SIZE_PX, flags=cv2.INTER_AREA, borderValue=190)


def print_of(board: Charuco | Chessboard, square_px: int, margin_px: int) -> np.ndarray:
    if isinstance(board, Charuco):
        pattern = board.image(square_px)
    else:
        i, j = np.mgrid[0 : board.rows + 1, 0 : board.columns + 1]
        pattern = np.kron(np.where((i + j) % 2, 255, 0), np.ones((square_px, square_px))).astype(np.uint8)
    return np.pad(pattern, margin_px, constant_values=255)


@pytest.mark.parametrize(
    "board",
    [Charuco(7, 5, 0.030, 0.022), Charuco(6, 4, 0.03, 0.022, legacy=True), Chessboard(8, 5, 0.025)],
    ids=["charuco", "legacy", "chessboard"],
)
@pytest.mark.parametrize("upside_down", [False, True])
def test_corners_are_found_where_the_pattern_was_drawn(board, upside_down):
    """To a fifth of a pixel, in the order of the convention, whichever way up the board is held."""
    R = Rotation.from_rotvec([0, 0, np.pi * upside_down]).as_matrix() @ Rotation.from_rotvec([0.3, -0.2, 0]).as_matrix()
    T = transform(R, np.array([0.01, 0.0, 0.40]) - R @ board.points_m.mean(axis=0))
    found = board.find(drawn(board, T, print_of(board, 60, 60), 60, 60))
    truth = cv2.projectPoints(found.points_m, cv2.Rodrigues(R)[0], T[:3, 3], K, np.zeros(5))[0].reshape(-1, 2)
    assert len(found.pixels) == len(board.points_m)
    assert np.abs(found.pixels - truth).max() < 0.35
    assert np.abs(found.pixels - truth).mean() < 0.2


def test_the_legacy_pattern_is_not_taken_for_the_new_one():
    old = Charuco(6, 4, 0.03, 0.022, legacy=True)
    T = transform(np.eye(3), np.array([-0.09, -0.06, 0.4]))
    picture = drawn(old, T, print_of(old, 60, 60), 60, 60)
    assert Charuco(6, 4, 0.03, 0.022).find(picture) is None
    assert "legacy" in old.convention


def test_pictures_of_two_cameras_are_refused():
    shots = [Picture("a", np.zeros((48, 64), np.uint8)), Picture("b", np.zeros((60, 80), np.uint8))]
    with pytest.raises(CalibrationError, match="b is 80x60, a 64x48 pixels"):
        find_board(shots, BOARD)


def test_a_damaged_picture_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG and no more")
    with pytest.raises(CalibrationError, match=r"a\.png: not a picture"):
        from_folder(tmp_path)
