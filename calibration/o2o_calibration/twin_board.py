"""The twin's own calibration session: its camera photographs a ChArUco board while the arm goes from pose to pose.

What comes out is a folder as a real session gives it (pictures and poses.yaml), and the truth beside it, so that the
whole way from photographs to a result file is run, and judged, without a robot.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from o2o_calibration.bare_scene import BareScene
from o2o_calibration.board import Charuco
from o2o_calibration.errors import CalibrationError
from o2o_calibration.geometry import inverse, to_vector, transform
from o2o_calibration.poses import write_poses
from o2o_robot.robot.rotation import quat_from_matrix
from o2o_robot.types import Array
from o2o_sim.config import TwinConfig
from o2o_sim.engine import mujoco
from o2o_sim.robots import FR3
from o2o_sim.scene import build_model, joints_of

SIZE_PX = (640, 480)
CAMERAS = {"wrist": "wrist", "fixed": "front"}
_PIXELS_PER_SQUARE = 64
_DRAWS = 4000
_ABOUT_RAD = {
    "wrist": np.array([0.0, -0.55, 0.0, -2.20, 0.0, 1.85, 0.785]),  # over the table, looking a little forward
    "fixed": np.array([0.0, 0.15, 0.0, -2.20, 0.0, 2.35, 0.785]),  # the hand before the front camera
}
_SPREAD_RAD = np.array([0.35, 0.30, 0.35, 0.35, 0.55, 0.55, 0.80])
_FLIP = np.diag([1.0, -1.0, -1.0])  # a MuJoCo camera looks along -z with y up, an optical frame along z with y down


class Session(NamedTuple):
    """What was photographed: names, T_base_tool (n, 4, 4), and the truth of the camera in its parent and its K."""

    names: tuple[str, ...]
    T_base_tool: Array
    T_parent_cam: Array
    K: Array


@dataclass(frozen=True)
class Photographer:
    """`camera`, wrist or fixed, and the board it photographs.

    noise: of the sensor, standard deviation in grey levels; blur_px: of the lens, standard deviation.
    """

    camera: str
    mount: str
    board: Charuco
    noise: float = 2.0
    blur_px: float = 0.6

    def photograph(self, folder: Path, n: int, rng: np.random.Generator) -> Session:
        """Write n pictures and poses.yaml to a folder. Raises CalibrationError where the board is seldom in sight."""
        folder.mkdir(parents=True, exist_ok=True)
        model = build_model(TwinConfig(cameras=()), BoardScene(self.board, self.mount), FR3)
        data = mujoco.MjData(model)
        tool, camera = model.site("tool").id, model.camera(self.camera).id
        names: list[str] = []
        tools: list[Array] = []
        with mujoco.Renderer(model, SIZE_PX[1], SIZE_PX[0]) as renderer:
            for q_rad in self._postures(model, data, n, rng):
                _pose(model, data, q_rad)
                renderer.update_scene(data, camera=camera, scene_option=_board_only())
                names.append(f"view-{len(names):02d}.png")
                cv2.imwrite(str(folder / names[-1]), self._develop(renderer.render(), rng))
                tools.append(transform(data.site_xmat[tool].reshape(3, 3), data.site_xpos[tool]))
        T_base_tool = np.array(tools)
        write_poses(folder, {k: (T[:3, 3], quat_from_matrix(T[:3, :3])) for k, T in zip(names, tools, strict=True)})
        T_base_cam = _camera_pose(data, camera)
        T_parent_cam = T_base_cam if self.mount == "fixed" else inverse(T_base_tool[-1]) @ T_base_cam
        return Session(tuple(names), T_base_tool, T_parent_cam, camera_matrix(model, camera))

    def _develop(self, rgb: Array, rng: np.random.Generator) -> Array:
        """A rendered picture with a lens's blur and a sensor's noise, BGR."""
        soft = cv2.GaussianBlur(rgb, (0, 0), self.blur_px) if self.blur_px > 0 else rgb
        noisy = soft + rng.normal(0, self.noise, soft.shape)
        return np.asarray(np.clip(np.round(noisy), 0, 255).astype(np.uint8)[..., ::-1])

    def _postures(self, model: mujoco.MjModel, data: mujoco.MjData, n: int, rng: np.random.Generator) -> list[Array]:
        """n joint positions from which the board is in sight, in every part of the picture in turn."""
        by_cell: dict[int, list[Array]] = {}
        for _ in range(_DRAWS):
            q_rad = _ABOUT_RAD[self.mount] + _SPREAD_RAD * rng.uniform(-1, 1, len(_SPREAD_RAD))
            _pose(model, data, q_rad)
            if (cell := _cell_of_board(model, data, model.camera(self.camera).id)) is not None:
                by_cell.setdefault(cell, []).append(q_rad)
        in_turn = [q for round_ in zip_longest(*(by_cell[c] for c in sorted(by_cell))) for q in round_ if q is not None]
        if len(in_turn) < n:
            told = f"'{self.camera}' sees the board from {len(in_turn)} of {_DRAWS} postures"
            raise CalibrationError(f"{told}, {n} are needed; use a smaller board")
        return in_turn[:n]


def camera_matrix(model: mujoco.MjModel, camera: int) -> Array:
    """K (3, 3) of a camera at SIZE_PX; pixel centres at whole numbers, as OpenCV counts them."""
    width, height = SIZE_PX
    f = 0.5 * height / np.tan(np.deg2rad(model.cam_fovy[camera]) / 2)
    return np.array([[f, 0, (width - 1) / 2], [0, f, (height - 1) / 2], [0, 0, 1]])


class BoardScene(BareScene):
    """A board on the table before a wrist camera, in the hand before a fixed one."""

    def __init__(self, board: Charuco, mount: str) -> None:
        self.board, self.mount = board, mount

    def add_to(self, spec: mujoco.MjSpec) -> None:
        spec.visual.quality.offsamples = 4  # corners are found to a tenth of a pixel: their edges must be smooth
        print_out = self.board.image(_PIXELS_PER_SQUARE)
        texture = spec.add_texture(name="board", type=mujoco.mjtTexture.mjTEXTURE_2D, nchannel=3)
        texture.height, texture.width = print_out.shape
        texture.data = np.repeat(print_out[..., None], 3, axis=2).tobytes()
        material = spec.add_material(name="board", texuniform=False)
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "board"
        half_m = [self.board.columns * self.board.square_m / 2, self.board.rows * self.board.square_m / 2, 0.001]
        place = {"wrist": _on_table, "fixed": _in_hand}[self.mount](spec)
        board = place.add_geom(name="board", type=mujoco.mjtGeom.mjGEOM_BOX, size=half_m, material="board")
        board.group, board.contype, board.conaffinity, board.rgba = 0, 0, 0, [1, 1, 1, 1]  # the arm's class has its own


def _on_table(spec: mujoco.MjSpec) -> mujoco.MjsBody:
    return spec.worldbody.add_body(name="board_frame", pos=[0.50, 0.0, 0.003])


def _in_hand(spec: mujoco.MjSpec) -> mujoco.MjsBody:
    """Before the tool, facing the camera in front of the arm; the hand itself is not drawn."""
    toward_camera = [0.350, 0.0, 0.937, 0.0]  # back over the hand by 139 degrees
    return spec.site("tool").parent.add_body(name="board_frame", pos=[0.10, 0.0, 0.12], quat=toward_camera)


def _pose(model: mujoco.MjModel, data: mujoco.MjData, q_rad: Array) -> None:
    data.qpos[joints_of(model, FR3).q] = q_rad
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_camlight(model, data)


def _camera_pose(data: mujoco.MjData, camera: int) -> Array:
    return transform(data.cam_xmat[camera].reshape(3, 3) @ _FLIP, data.cam_xpos[camera])


def _cell_of_board(model: mujoco.MjModel, data: mujoco.MjData, camera: int) -> int | None:
    """The one of nine parts of the picture that the board's centre is in; None where it is not well in sight.

    Well: its face is seen from under 60 degrees, a fifth of the picture wide and more, all of its rim inside and over
    the table.
    """
    board = model.geom("board").id
    R, centre = data.geom_xmat[board].reshape(3, 3), data.geom_xpos[board]
    toward = data.cam_xpos[camera] - centre
    if R[:, 2] @ toward < 0.5 * np.linalg.norm(toward):
        return None
    x, y = model.geom_size[board][:2]
    rim = centre + np.array([(i * x, j * y, 0) for i in (-1, 0, 1) for j in (-1, 0, 1)]) @ R.T
    seen = to_vector(inverse(_camera_pose(data, camera)))
    pixels = cv2.projectPoints(rim, seen[3:], seen[:3], camera_matrix(model, camera), np.zeros(5))[0].reshape(-1, 2)
    inside = ((pixels >= 0) & (pixels < SIZE_PX)).all()
    if not inside or rim[:, 2].min() < 0 or np.ptp(pixels, axis=0).max() < SIZE_PX[0] / 5:
        return None
    column, row = (pixels[4] * 3 / SIZE_PX).astype(int)
    return int(3 * row + column)


def _board_only() -> mujoco.MjvOption:
    """Hides the arm (group 2), whose hand stands before the wrist camera, as a person would take it away."""
    option = mujoco.MjvOption()
    option.geomgroup[2] = 0
    return option
