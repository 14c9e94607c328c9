"""Tool poses beside pictures: a `poses.yaml` in their folder, or the rows of an episode; and the board as it was seen.

poses.yaml is a list, one entry a picture, the tool in the robot's base frame at the moment of exposure:
    - {image: view-00.png, position_m: [0.40, 0.02, 0.35], quat_xyzw: [1.0, 0.0, 0.0, 0.0]}
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from o2o_calibration.errors import CalibrationError
from o2o_calibration.geometry import from_quat, from_vector
from o2o_calibration.pictures import View
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import ConfigError
from o2o_robot.types import Array
from o2o_robot.yamlfile import PlainDumper, read_yaml

FILE = "poses.yaml"


def read_poses(folder: Path) -> dict[str, Array]:
    """Picture's name -> T_base_tool (4, 4), of folder/poses.yaml. Raises CalibrationError naming the entry at fault."""
    path = folder / FILE
    try:
        entries = read_yaml(path)
    except (OSError, ConfigError) as problem:
        raise CalibrationError(f"cannot read {path}: {' '.join(str(problem).split())}") from None
    if not isinstance(entries, list) or not entries:
        raise CalibrationError(f"{path} is not a list of image, position_m and quat_xyzw; write one entry a picture")
    return dict(_pose(path, i, entry) for i, entry in enumerate(entries))


def write_poses(folder: Path, poses: dict[str, tuple[Array, Array]]) -> None:
    """Write folder/poses.yaml: picture's name -> position (3,) m and quaternion (4,) xyzw of the tool in the base."""
    entries = [
        {"image": name, "position_m": [float(v) for v in p], "quat_xyzw": [float(v) for v in q]}
        for name, (p, q) in poses.items()
    ]
    (folder / FILE).write_text(
        yaml.dump(entries, Dumper=PlainDumper, default_flow_style=None, sort_keys=False, width=120)
    )


def poses_of_episode(store: Path, episode: int) -> dict[str, Array]:
    """ "row i" -> T_base_tool (4, 4), as the episode's state fields tool_position_m and tool_quat_xyzw have it."""
    with EpisodeStore.open(store) as episodes:
        state = episodes.read(episode).state
    for name in ("tool_position_m", "tool_quat_xyzw"):
        if name not in state:
            raise CalibrationError(
                f"{store} has no state '{name}'; it has {', '.join(state)}; give the folder of poses"
            )
    poses = from_quat(state["tool_position_m"], state["tool_quat_xyzw"])
    return {f"row {i}": pose for i, pose in enumerate(poses)}


def board_pose(view: View, K: Array, distortion: Array) -> Array:
    """T_cam_board (4, 4) of one view, by the planar solution with the smaller reprojection error, refined.

    A plane has two poses that look nearly the same from afar (Schweighofer and Pinz 2006); IPPE gives both.
    """
    points_m, pixels = view.corners
    n, rs, ts, _ = cv2.solvePnPGeneric(points_m, pixels, K, distortion, flags=cv2.SOLVEPNP_IPPE)
    if not n:
        raise CalibrationError(f"{view.name}: no pose of the board explains its corners; leave this picture out")
    r, t = cv2.solvePnPRefineLM(points_m, pixels, K, distortion, rs[0], ts[0])
    return from_vector(np.concatenate([t.ravel(), r.ravel()]))


def _pose(path: Path, i: int, entry: Any) -> tuple[str, Array]:
    try:
        position_m, quat = np.asarray(entry["position_m"], float), np.asarray(entry["quat_xyzw"], float)
        name = str(entry["image"])
    except (KeyError, TypeError, ValueError) as problem:
        raise CalibrationError(f"{path}, entry {i}: {problem}; it needs image, position_m and quat_xyzw") from None
    if position_m.shape != (3,) or quat.shape != (4,) or not np.isfinite([*position_m, *quat]).all():
        raise CalibrationError(f"{path}, entry {i}: position_m must be 3 and quat_xyzw 4 finite numbers")
    if abs(np.linalg.norm(quat) - 1) > 0.01:
        raise CalibrationError(
            f"{path}, entry {i}: quat_xyzw has norm {np.linalg.norm(quat):.3f}, must be 1; xyzw order"
        )
    return name, from_quat(position_m, quat)
