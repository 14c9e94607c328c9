"""Synthetic measurements with known truth: views of a board through a known camera, and an arm that looks at it."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from o2o_calibration.board import Board, Charuco, Corners
from o2o_calibration.geometry import inverse, transform
from o2o_calibration.pictures import View, Views

SIZE_PX = (640, 480)
K = np.array([[612.0, 0.0, 326.0], [0.0, 608.0, 236.0], [0.0, 0.0, 1.0]])
DISTORTION = np.array([-0.28, 0.09, 0.001, -0.0008, 0.0])
BOARD = Charuco(7, 5, 0.030, 0.022)


def looking_at(target: np.ndarray, eye: np.ndarray, roll_rad: float = 0.0) -> np.ndarray:
    """T_world_cam (4, 4) of a camera at `eye` whose optical axis goes through `target`."""
    z = (target - eye) / np.linalg.norm(target - eye)
    x = np.cross(z, [0.0, 0.0, 1.0] if abs(z[2]) < 0.99 else [0.0, 1.0, 0.0])
    x /= np.linalg.norm(x)
    return transform(np.column_stack([x, np.cross(z, x), z]) @ Rotation.from_rotvec([0, 0, roll_rad]).as_matrix(), eye)


def poses_before(board: Board, rng: np.random.Generator, n: int, far_m: float = 0.45) -> np.ndarray:
    """n poses T_cam_board from which the board fills some part of the picture, tilted up to 40 degrees."""
    centre = board.points_m.mean(axis=0)
    poses = []
    for _ in range(n):
        tilt = Rotation.from_rotvec([*rng.uniform(-0.7, 0.7, 2), rng.uniform(-1.5, 1.5)]).as_matrix()
        far = far_m * rng.uniform(0.7, 1.2)
        place_m = np.array([*(rng.uniform(-0.28, 0.28, 2) * [1.3, 1.0] * far), far])
        poses.append(transform(tilt, place_m - tilt @ centre))
    return np.array(poses)


def seen(
    board: Board,
    T_cam_board: np.ndarray,
    rng: np.random.Generator,
    *,
    K: np.ndarray = K,
    distortion: np.ndarray = DISTORTION,
    noise_px: float = 0.1,
) -> Corners:
    """The corners of a board that are in the picture, with noise."""
    r, t = cv2.Rodrigues(T_cam_board[:3, :3])[0], T_cam_board[:3, 3]
    pixels = cv2.projectPoints(board.points_m, r, t, K, distortion)[0].reshape(-1, 2)
    inside = ((pixels >= 0) & (pixels < SIZE_PX)).all(axis=1)
    return Corners(board.points_m[inside], pixels[inside] + rng.normal(0, noise_px, (int(inside.sum()), 2)))


def views(rng: np.random.Generator, n: int = 18, board: Board = BOARD, **camera: object) -> Views:
    """n views of a board through the known camera, those that show half of it."""
    found = [
        View(f"view {i}", seen(board, T, rng, **camera))
        for i, T in enumerate(poses_before(board, rng, n))  # type: ignore[arg-type]
    ]
    return Views(tuple(v for v in found if len(v.corners.pixels) >= 12), SIZE_PX, ())


class Session(NamedTuple):
    """What a hand-eye session measures, (n, 4, 4) each, and the truth it should find."""

    T_base_tool: np.ndarray
    T_cam_board: np.ndarray
    T_parent_cam: np.ndarray


def session(
    rng: np.random.Generator, mount: str, n: int = 20, *, mm: float = 0.5, deg: float = 0.1, one_axis: bool = False
) -> Session:
    """n poses of an arm with noise of `mm` and `deg` on what the camera says of the board."""
    turn = Rotation.from_rotvec([0.02, -0.03, 1.6]).as_matrix()
    wrist = transform(turn, np.array([0.05, -0.03, 0.06]))
    fixed = looking_at(np.array([0.5, 0.0, 0.2]), np.array([1.0, 0.1, 0.7]))
    other = transform(Rotation.from_rotvec([3.0, 0.1, 0.2]).as_matrix(), np.array([0.5, 0.05, 0.02]))
    in_hand = transform(Rotation.from_rotvec([0.3, 2.6, 0.1]).as_matrix(), np.array([0.03, 0.0, 0.08]))
    spread = np.array([0.0, 0.0, 0.8]) if one_axis else np.array([0.4, 0.4, 0.8])
    tools = np.array(
        [
            transform(
                Rotation.from_euler("xyz", np.array([np.pi, 0, 0]) + spread * rng.uniform(-1, 1, 3)).as_matrix(),
                np.array([0.45, 0.0, 0.4]) + rng.uniform(-0.12, 0.12, 3),
            )
            for _ in range(n)
        ]
    )
    if mount == "wrist":
        boards, truth = inverse(tools @ wrist) @ other, wrist
    else:
        boards, truth = inverse(fixed) @ tools @ in_hand, fixed
    return Session(tools, shaken(boards, rng, mm, deg), truth)


def shaken(T: np.ndarray, rng: np.random.Generator, mm: float, deg: float) -> np.ndarray:
    """The same poses (n, 4, 4) with normal errors along and about each axis."""
    turns = Rotation.from_rotvec(np.deg2rad(deg) * rng.normal(size=(len(T), 3))).as_matrix()
    return T @ transform(turns, mm / 1e3 * rng.normal(size=(len(T), 3)))
