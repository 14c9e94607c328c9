"""Where a camera sits: on the tool (wrist) or in the base frame (fixed), from tool poses and views of a board.

Bad poses are found by least median of squares over random quadruples (Rousseeuw 1984), which half of them may not
break; the closed-form solution is refined on all good ones by robust least squares in X and Y together; the interval
is by bootstrap over views. What the motions leave open, or the interval does not support, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from o2o_calibration.errors import CalibrationError
from o2o_calibration.geometry import Gap, from_vector, gap, inverse, middle, to_vector
from o2o_calibration.hand_eye_methods import METHODS, PARENTS, equation_sides, solve
from o2o_robot.types import Array

_DRAWS, _PER_DRAW = 150, 4  # a quadruple without an outlier at 40 % of them: sure to 1e-9
_LEAST_SPREAD_M = 1e-4  # poses better than this are not told apart by their residuals
_SURE = 1.96

Redraw = Callable[[np.random.Generator], Array]


@dataclass(frozen=True)
class HandEyeLimits:
    """What a result must keep to be given at all."""

    max_mm: float = 5.0
    """Half-width of the 95 % interval of the camera's place along any of its axes, mm."""
    max_deg: float = 0.5
    """The same, of its rotation about any, degrees."""
    max_residual_mm: float = 5.0
    """Median over the good views of how far the board's place differs from view to view, mm."""
    max_residual_deg: float = 0.7
    """The same, of its rotation, degrees."""
    min_views: int = 6
    """Good views."""
    min_turn_deg: float = 8.0
    """Root mean square turn of the tool about its second axis: turns about one axis alone leave the place open."""


class Solution(NamedTuple):
    """X the camera in its parent and Y the board in its own (base for a wrist camera, tool for a fixed one), (4, 4)."""

    X: Array
    Y: Array


@dataclass(frozen=True)
class HandEye:
    """T_parent_cam (4, 4): the optical frame (x right, y down, z forward) in `parent`, "tool" or "base".

    half_width_mm, half_width_deg (3,): of the 95 % interval, along and about each axis of the camera. residual: per
    view, of the board's pose against T_other_board (the board in the base, or in the tool); is_good (n,): views used.
    by_method: how far each closed form's camera is from the result; first: the best of them. turn_deg: check_turns.
    """

    mount: str
    T_parent_cam: Array
    T_other_board: Array
    half_width_mm: Array
    half_width_deg: Array
    residual: Gap
    is_good: Array
    by_method: dict[str, Gap]
    first: Array
    turn_deg: float

    @property
    def parent(self) -> str:
        return PARENTS[self.mount]


def calibrate(
    T_base_tool: Array,
    T_cam_board: Array,
    mount: str,
    *,
    rng: np.random.Generator,
    limits: HandEyeLimits | None = None,
    n_bootstrap: int = 50,
    redraw: Redraw | None = None,
) -> HandEye:
    """The camera's pose from n views, (n, 4, 4) each; `mount` is wrist or fixed.

    redraw: the board's poses as they would be for intrinsics drawn from their own interval, which the result's then
    contains; without it the intrinsics are taken for exact.
    Raises CalibrationError where the motions cannot tell it, or the result is outside `limits`.
    """
    limits = limits or HandEyeLimits()
    A, B = equation_sides(T_base_tool, T_cam_board, mount)
    if len(A) < limits.min_views:
        raise CalibrationError(
            f"{len(A)} views of the board with a tool pose, {limits.min_views} are needed; add poses"
        )
    check_turns(A, limits)
    is_good = good_views(A, B, rng)
    if is_good.sum() < limits.min_views:
        told = f"only {is_good.sum()} of {len(A)} views agree with each other, {limits.min_views} are needed"
        raise CalibrationError(f"{told}; check that image and pose are of one moment, and that the board did not move")
    turn_deg = check_turns(A[is_good], limits)
    closed = {name: X for name in METHODS if (X := solve(A[is_good], B[is_good], name)) is not None}
    first = min(closed.values(), key=lambda X: _spread_m(X, A[is_good], B[is_good]).sum())
    best = refine(first, A[is_good], B[is_good])
    others = (B if redraw is None else redraw(rng) for _ in range(n_bootstrap))
    mm, deg = _bootstrap(best, A[is_good], (other[is_good] for other in others), rng)
    result = HandEye(
        mount,
        best.X,
        best.Y,
        half_width_mm=mm,
        half_width_deg=deg,
        residual=gap(best.Y, A @ best.X @ B),
        is_good=is_good,
        by_method={name: gap(best.X, X) for name, X in closed.items()},
        first=first,
        turn_deg=turn_deg,
    )
    refuse(result, limits)
    return result


def refuse(result: HandEye, limits: HandEyeLimits) -> None:
    """Raises CalibrationError with every reason for which the result is outside `limits`, and what would mend it."""
    mm, deg = float(result.half_width_mm.max()), float(result.half_width_deg.max())
    residual_mm, residual_deg = (float(np.median(part[result.is_good])) for part in result.residual)
    bounds = (
        (mm, limits.max_mm, "mm", "camera's place known to", "add views with other tilts of the wrist"),
        (deg, limits.max_deg, "deg", "camera's rotation known to", "add views from further apart"),
        (residual_mm, limits.max_residual_mm, "mm", "median residual", "check intrinsics, tool frame and stamps"),
        (residual_deg, limits.max_residual_deg, "deg", "median residual", "check intrinsics, tool frame and stamps"),
    )
    reasons = [f"{what} {x:.2f} {unit}, at most {most:g}: {do}" for x, most, unit, what, do in bounds if not x <= most]
    if reasons:
        raise CalibrationError("the hand-eye result is refused: " + "; ".join(reasons))


def check_turns(A: Array, limits: HandEyeLimits) -> float:
    """Root mean square turn between any two poses about the axis that comes second, degrees.

    With turns about one axis only, the camera's place along that axis is free (Tsai and Lenz 1989): refused.
    """
    i, j = np.triu_indices(len(A), 1)
    turns_rad = to_vector(inverse(A[i]) @ A[j])[:, 3:]
    strengths = np.sort(np.linalg.eigvalsh(turns_rad.T @ turns_rad / len(i)))
    second_deg = float(np.rad2deg(np.sqrt(max(strengths[1], 0.0))))
    if second_deg < limits.min_turn_deg:
        told = f"the tool turned by {second_deg:.1f} deg about its second axis, {limits.min_turn_deg:g} are needed"
        raise CalibrationError(f"{told}; tilt the wrist about two axes that are not parallel, by 20 deg and more")
    return second_deg


def good_views(A: Array, B: Array, rng: np.random.Generator) -> Array:
    """Which views agree with the solution whose median residual is least, (n,) bool."""
    best, best_spread = np.inf, np.zeros(len(A))
    for _ in range(_DRAWS):
        four = rng.choice(len(A), _PER_DRAW, replace=False)
        X = solve(A[four], B[four], "park")
        if X is None:
            continue
        spread = _spread_m(X, A, B, middle((A @ X @ B)[four]))
        if (median := np.median(spread)) < best:
            best, best_spread = median, spread
    if not np.isfinite(best):
        return np.zeros(len(A), bool)
    good = best_spread <= 3.0 * _scale(best, len(A))
    for _ in range(3):  # the quadruple's own error is in its residuals: judge again by what all good ones say
        solution = refine(_closed(A[good], B[good]), A[good], B[good])
        spread = _spread_m(solution.X, A, B, solution.Y)
        good = spread <= 3.0 * _scale(float(np.median(spread)), len(A))
    return np.asarray(good)


def refine(start: Array, A: Array, B: Array) -> Solution:
    """X and Y that make A X B = Y best, large residuals weighing less (soft L1), from a start X (4, 4)."""
    lever_m = _lever_m(B)
    Y = middle(A @ start @ B)

    def misfit(step: Array) -> Array:
        X_now, Y_now = start @ from_vector(step[:6]), Y @ from_vector(step[6:])
        off = to_vector(inverse(Y_now) @ A @ X_now @ B)
        return np.asarray(off * np.repeat([1.0, lever_m], 3)).ravel()

    scale = max(1.4826 * float(np.median(np.abs(misfit(np.zeros(12))))), _LEAST_SPREAD_M)
    step = least_squares(misfit, np.zeros(12), loss="soft_l1", f_scale=2 * scale, x_scale="jac").x
    return Solution(start @ from_vector(step[:6]), Y @ from_vector(step[6:]))


def _closed(A: Array, B: Array) -> Array:
    X = solve(A, B, "park")
    if X is None:
        raise CalibrationError("no closed form solves these poses; tilt the wrist about two axes that are not parallel")
    return X


def _scale(median_m: float, n: int) -> float:
    """Standard deviation that a median of absolute residuals stands for (Rousseeuw and Leroy 1987, with their n)."""
    return max(1.4826 * (1 + 5 / max(n - 6, 2)) * median_m, _LEAST_SPREAD_M)


def _spread_m(X: Array, A: Array, B: Array, Y: Array | None = None) -> Array:
    """How far the board's pose is from its middle in each view (n,): metres, a turn counted at the board's distance."""
    boards = A @ X @ B
    off = gap(middle(boards) if Y is None else Y, boards)
    return np.asarray(off.mm / 1e3 + _lever_m(B) * np.deg2rad(off.deg))


def _lever_m(B: Array) -> float:
    return float(np.median(np.linalg.norm(B[:, :3, 3], axis=1)))


def _bootstrap(best: Solution, A: Array, boards: Iterable[Array], rng: np.random.Generator) -> tuple[Array, Array]:
    """Half-widths of the 95 % interval, (3,) mm and (3,) deg, from solutions of views drawn with replacement."""
    steps = []
    for B in boards:
        drawn = rng.integers(0, len(A), len(A))
        while len(set(drawn.tolist())) < _PER_DRAW:
            drawn = rng.integers(0, len(A), len(A))
        steps.append(to_vector(inverse(best.X) @ refine(best.X, A[drawn], B[drawn]).X))
    wide = _SURE * np.sqrt((np.array(steps) ** 2).mean(axis=0))
    return wide[:3] * 1e3, np.rad2deg(wide[3:])
