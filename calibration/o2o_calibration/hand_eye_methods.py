"""OpenCV's five closed-form hand-eye methods behind one equation.

A wrist camera looks at a board that stands still: T_base_tool @ T_tool_cam @ T_cam_board is one pose, in every view.
A fixed camera looks at a board on the tool: inverse(T_base_tool) @ T_base_cam @ T_cam_board is. So both are
A_i X B_i = Y, with A the tool's pose or its inverse, X the camera in its parent, B the board as the camera sees it.
"""

from __future__ import annotations

import cv2
import numpy as np

from o2o_calibration.errors import CalibrationError
from o2o_calibration.geometry import inverse, transform
from o2o_robot.types import Array

METHODS = {
    "tsai": cv2.CALIB_HAND_EYE_TSAI,
    "park": cv2.CALIB_HAND_EYE_PARK,
    "horaud": cv2.CALIB_HAND_EYE_HORAUD,
    "andreff": cv2.CALIB_HAND_EYE_ANDREFF,
    "daniilidis": cv2.CALIB_HAND_EYE_DANIILIDIS,
}
PARENTS = {"wrist": "tool", "fixed": "base"}


def equation_sides(T_base_tool: Array, T_cam_board: Array, mount: str) -> tuple[Array, Array]:
    """A and B (n, 4, 4) of A_i X B_i = Y. Raises CalibrationError for an unknown mount, or shapes that differ."""
    if mount not in PARENTS:
        raise CalibrationError(f"there is no mount '{mount}'; mounts: {', '.join(PARENTS)}")
    if T_base_tool.shape != T_cam_board.shape or T_base_tool.shape[1:] != (4, 4):
        told = f"{T_base_tool.shape} tool poses and {T_cam_board.shape} board poses"
        raise CalibrationError(f"{told}, one of each is needed for every view, (n, 4, 4)")
    if not (np.isfinite(T_base_tool).all() and np.isfinite(T_cam_board).all()):
        raise CalibrationError("a pose is not finite; drop the view it belongs to")
    return (T_base_tool if mount == "wrist" else inverse(T_base_tool)), T_cam_board


def solve(A: Array, B: Array, method: str) -> Array | None:
    """X (4, 4) by one method; None where it breaks down on these poses (OpenCV raises, or gives no rotation)."""
    tools, boards = ((list(T[:, :3, :3]), list(T[:, :3, 3])) for T in (A, B))
    try:
        R, t = cv2.calibrateHandEye(*tools, *boards, method=METHODS[method])
    except cv2.error:
        return None
    if not (np.isfinite(R).all() and np.isfinite(t).all()) or abs(np.linalg.det(R) - 1) > 0.1:
        return None
    U, _, Vt = np.linalg.svd(R)  # some methods give it only nearly orthonormal
    return transform(U @ Vt, np.ravel(t))
