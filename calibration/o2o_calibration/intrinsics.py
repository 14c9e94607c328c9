"""A camera's focal lengths, centre and lens distortion from pictures of a board (Zhang, IEEE PAMI 2000, by OpenCV).

Views that do not fit are left out, the uncertainty is by leaving out one view at a time, and a result that its own
uncertainty does not support is refused, with what to photograph next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from o2o_calibration.coverage import Coverage, coverage
from o2o_calibration.errors import CalibrationError
from o2o_calibration.pictures import View, Views
from o2o_robot.types import Array

NAMES = ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3")
LENSES = {
    "none": cv2.CALIB_FIX_K1 | cv2.CALIB_FIX_K2 | cv2.CALIB_FIX_K3 | cv2.CALIB_ZERO_TANGENT_DIST,
    "k1": cv2.CALIB_FIX_K2 | cv2.CALIB_FIX_K3 | cv2.CALIB_ZERO_TANGENT_DIST,
    "k2": cv2.CALIB_FIX_K3,
    "k3": 0,
}
_SURE = 1.96  # a normal error's 95 %


@dataclass(frozen=True)
class IntrinsicsLimits:
    """What a result must keep to be given at all; `known to` is the half-width of the 95 % interval."""

    max_rms_px: float = 1.0
    """Root mean square of the reprojection error, pixels."""
    max_focal_percent: float = 1.0
    """Focal lengths are known to this, per cent of themselves."""
    max_centre_percent: float = 2.0
    """The principal point is known to this, per cent of the picture's width."""
    min_views: int = 6
    """Views that fit."""
    min_cells: int = 6
    """Of the picture's 3x3 cells, those in which corners were seen."""
    min_tilt_deg: float = 15.0
    """Largest angle between the board's normals in two views: parallel boards leave the focal length open."""


ANYTHING = IntrinsicsLimits(np.inf, np.inf, np.inf, min_views=2, min_cells=0, min_tilt_deg=0.0)
"""Limits that refuse nothing: for a model that is only compared with."""


class ViewError(NamedTuple):
    """How one view fits: rms_px of its corners; is_used is False where it was left out."""

    name: str
    rms_px: float
    is_used: bool
    n_corners: int


@dataclass(frozen=True)
class Intrinsics:
    """K (3, 3) in pixels, distortion (5,) as OpenCV's k1 k2 p1 p2 k3 (ROS: plumb_bob), size_px (width, height).

    half_width: NAMES -> half-width of the 95 % interval. residuals: name -> (n, 4) of corner x, y and error x, y, px.
    T_cam_board: name -> (4, 4) of the views that fit.
    """

    K: Array
    distortion: Array
    size_px: tuple[int, int]
    rms_px: float
    half_width: dict[str, float]
    views: tuple[ViewError, ...]
    coverage: Coverage
    tilt_deg: float
    residuals: dict[str, Array] = field(repr=False, default_factory=dict)

    @property
    def values(self) -> dict[str, float]:
        """NAMES -> value."""
        K = self.K
        return dict(zip(NAMES, (K[0, 0], K[1, 1], K[0, 2], K[1, 2], *self.distortion), strict=True))

    @property
    def n_used(self) -> int:
        return sum(view.is_used for view in self.views)


class _Fit(NamedTuple):
    K: Array
    distortion: Array
    rotations: Array
    translations_m: Array
    error_px: Array  # rms of each view (n,)

    @property
    def parameters(self) -> Array:
        return np.array([self.K[0, 0], self.K[1, 1], self.K[0, 2], self.K[1, 2], *self.distortion])


def calibrate(found: Views, *, lens: str = "k2", limits: IntrinsicsLimits | None = None) -> Intrinsics:
    """The camera that took `found`. lens: which distortion is fitted: none, k1 (radial), k2 (with tangential), k3.

    Raises CalibrationError where there are too few views, or the result is outside `limits`.
    """
    limits = limits or IntrinsicsLimits()
    if lens not in LENSES:
        raise CalibrationError(f"there is no lens model '{lens}'; models: {', '.join(LENSES)}")
    if len(found.views) < limits.min_views:
        told = f"the board was found in {len(found.views)} of {len(found.views) + len(found.missed)} pictures"
        raise CalibrationError(f"{told}, {limits.min_views} are needed; check the board's size and kind, and the light")
    used, fit = _without_outliers(list(found.views), found.size_px, LENSES[lens])
    result = _result(found, used, fit, LENSES[lens])
    refuse(result, limits)
    return result


def refuse(result: Intrinsics, limits: IntrinsicsLimits) -> None:
    """Raises CalibrationError with every reason for which the result is outside `limits`, and what would mend it."""
    reasons = _reasons(result, limits)
    if reasons:
        raise CalibrationError("the intrinsics are refused: " + "; ".join(reasons))


def _reasons(result: Intrinsics, limits: IntrinsicsLimits) -> list[str]:
    values, half, reasons = result.values, result.half_width, []
    focal = 100 * max(half[name] / values[name] for name in ("fx", "fy"))
    centre = 100 * max(half["cx"], half["cy"]) / result.size_px[0]
    if result.n_used < limits.min_views:
        reasons.append(f"only {result.n_used} views fit, {limits.min_views} are needed: photograph a flat, still board")
    if not result.rms_px <= limits.max_rms_px:
        told = f"reprojection error {result.rms_px:.2f} px, at most {limits.max_rms_px:g}"
        reasons.append(f"{told}: check the board's size, its flatness, blur, and the lens model")
    if result.coverage.n_cells < limits.min_cells:
        told = f"corners in {result.coverage.n_cells} of 9 parts of the picture, {limits.min_cells} are needed"
        reasons.append(f"{told}: photograph the board in the {', '.join(result.coverage.empty)}")
    if result.tilt_deg < limits.min_tilt_deg:
        told = f"the board was tilted by {result.tilt_deg:.0f} deg at most, {limits.min_tilt_deg:g} are needed"
        reasons.append(f"{told}: tilt it to both sides, and toward the camera")
    if not focal <= limits.max_focal_percent:
        told = f"focal length known to {focal:.2f} %, at most {limits.max_focal_percent:g}"
        reasons.append(f"{told}: photograph it tilted by 30 deg and more, and nearer")
    if not centre <= limits.max_centre_percent:
        told = f"principal point known to {centre:.1f} % of the width, at most {limits.max_centre_percent:g}"
        reasons.append(f"{told}: photograph it tilted, near the picture's edges")
    return reasons


def _without_outliers(views: list[View], size_px: tuple[int, int], flags: int) -> tuple[list[View], _Fit]:
    """Drop the worst view while it fits far worse than most (2.5 robust standard deviations, and double the median)."""
    fit = _fit(views, size_px, flags)
    while len(views) > 4:
        median = np.median(fit.error_px)
        spread = 1.4826 * np.median(np.abs(fit.error_px - median))
        worst = int(fit.error_px.argmax())
        if fit.error_px[worst] <= max(median + 2.5 * spread, 2 * median, 0.1):
            break
        views = views[:worst] + views[worst + 1 :]
        fit = _fit(views, size_px, flags)
    return views, fit


def _fit(views: list[View], size_px: tuple[int, int], flags: int, start: _Fit | None = None) -> _Fit:
    points = [view.corners.points_m.astype(np.float32) for view in views]
    pixels = [view.corners.pixels.astype(np.float32) for view in views]
    K, distortion = (np.eye(3), np.zeros(5)) if start is None else (start.K.copy(), start.distortion.copy())
    flags |= 0 if start is None else cv2.CALIB_USE_INTRINSIC_GUESS
    try:
        found = cv2.calibrateCameraExtended(points, pixels, size_px, K, distortion, flags=flags)
    except cv2.error:
        raise CalibrationError(
            f"OpenCV finds no camera that explains {len(views)} views; photograph the board tilted, filling the picture"
        ) from None
    _, K, distortion, r, t, _, _, errors = found
    return _Fit(K, distortion.ravel()[:5], np.array(r).reshape(-1, 3), np.array(t).reshape(-1, 3), errors.ravel())


def _result(found: Views, used: list[View], fit: _Fit, flags: int) -> Intrinsics:
    kept = {view.name: i for i, view in enumerate(used)}
    errors = []
    for view in found.views:
        rms_px = fit.error_px[kept[view.name]] if view.name in kept else left_out_rms_px(view, fit.K, fit.distortion)
        errors.append(ViewError(view.name, float(rms_px), view.name in kept, len(view.corners.pixels)))
    n = np.array([len(view.corners.pixels) for view in used])
    return Intrinsics(
        fit.K,
        fit.distortion,
        found.size_px,
        rms_px=float(np.sqrt((n * fit.error_px**2).sum() / n.sum())),
        half_width=dict(zip(NAMES, _SURE * _jackknife(used, found.size_px, flags, fit), strict=True)),
        views=tuple(errors),
        coverage=coverage([view.corners.pixels for view in used], found.size_px),
        tilt_deg=_tilt_deg(fit.rotations),
        residuals={view.name: _residuals(view, fit, i) for i, view in enumerate(used)},
    )


def _jackknife(views: list[View], size_px: tuple[int, int], flags: int, fit: _Fit) -> Array:
    """Standard error (9,) by leaving out one view at a time (Efron, 1982).

    OpenCV's own takes the corners' errors for independent; those of one view are not, where board or lens is not ideal.
    """
    n = len(views)
    others = np.array([_fit(views[:i] + views[i + 1 :], size_px, flags, fit).parameters for i in range(n)])
    return np.asarray(np.sqrt((n - 1) / n * ((others - others.mean(axis=0)) ** 2).sum(axis=0)))


def left_out_rms_px(view: View, K: Array, distortion: Array) -> float:
    """How well a camera explains a view it was not fitted to: rms of the reprojection error, pixels."""
    points_m, pixels = view.corners
    is_posed, r, t = cv2.solvePnP(points_m, pixels, K, distortion)
    if not is_posed:
        return float("inf")
    seen, _ = cv2.projectPoints(points_m, r, t, K, distortion)
    return float(np.sqrt(((seen.reshape(-1, 2) - pixels) ** 2).sum(axis=1).mean()))


def _residuals(view: View, fit: _Fit, i: int) -> Array:
    seen, _ = cv2.projectPoints(view.corners.points_m, fit.rotations[i], fit.translations_m[i], fit.K, fit.distortion)
    return np.column_stack([view.corners.pixels, view.corners.pixels - seen.reshape(-1, 2)])


def _tilt_deg(rotations: Array) -> float:
    """The largest angle between the board's normals in any two views."""
    normals = np.array([cv2.Rodrigues(r)[0][:, 2] for r in rotations])
    return float(np.rad2deg(np.arccos(np.clip(normals @ normals.T, -1, 1)).max()))
