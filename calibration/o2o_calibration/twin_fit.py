"""The twin fitted to a recorded motion: the parameters whose simulated answer is nearest to what was measured.

Nonlinear least squares over the simulation (scipy's trust region), in the logarithm of what must be positive. Errors
of one moment last into the next, so the interval counts quarter seconds, not samples (Newey and West's sandwich, by
blocks). A parameter that the motion leaves open is refused, and named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from scipy.optimize import least_squares

from o2o_calibration.delay import Signal, check_signal
from o2o_calibration.errors import CalibrationError
from o2o_calibration.joint_response import DELAY, PARAMETERS
from o2o_robot.types import Array

_SURE = 1.96
_BLOCK_S = 0.25
_MOST_DELAY_S = 0.5
NEGLIGIBLE = {"stiffness_nm_rad": 1.0, "damping_nms_rad": 0.1, "coulomb_nm": 0.1, "armature_kg_m2": 0.01}
"""Half-widths that are always fine: a joint may well have next to no friction."""
_RANGE = (1e-4, 1e5)  # of every positive parameter, SI


@dataclass(frozen=True)
class TwinFitLimits:
    """What a fit must keep to be given at all."""

    max_half_width: float = 0.3
    """Half-width of a parameter's 95 % interval, as a share of it; one that is NEGLIGIBLE is always fine."""
    max_delay_half_width_s: float = 0.005
    """The same of the delay, in seconds."""
    max_misfit: float = 0.5
    """Root mean square misfit after the fit, as a share of the motion that the command alone does not explain."""
    min_motion_rad: float = 0.05
    """Each joint's measured motion."""
    min_motion_m: float = 0.02
    """The same of each axis of a tool's."""


class Drive(Protocol):
    """What answers commands by simulation: joints (joint_response.py), or the tool (tool_response.py).

    joints: names of what is commanded. held: every parameter's value where it is not fitted. unit: of positions.
    """

    @property
    def joints(self) -> tuple[str, ...]: ...

    @property
    def held(self) -> Mapping[str, float]: ...

    @property
    def unit(self) -> str: ...

    def answer(self, command: Signal, at_s: Array, told: Mapping[str, float], start: Array | None, /) -> Array:
        """Positions (n, k) at at_s (n,)."""
        ...


class Fitted(NamedTuple):
    value: float
    half_width: float


@dataclass(frozen=True)
class TwinFit:
    """parameters: name -> value with the half-width of its 95 % interval, both SI.

    rms_*: misfit at the start and at the end, and of the command itself. at_s (n,), measured, before, after (n, k), all
    in `unit`, rad or m.
    """

    parameters: dict[str, Fitted]
    rms_before: float
    rms_after: float
    rms_command: float
    at_s: Array
    measured: Array
    before: Array
    after: Array
    unit: str = "rad"


def fit(
    drive: Drive,
    command: Signal,
    state: Signal,
    *,
    start: Mapping[str, float] | None = None,
    kinds: tuple[str, ...] = (*PARAMETERS, DELAY),
    limits: TwinFitLimits | None = None,
) -> TwinFit:
    """Fit `kinds` of parameters of every commanded joint, (n, k) commanded and (m, k) measured positions.

    start: where the search begins and what the others are held at, over the model's own. Raises CalibrationError where
    the motion is too small, a parameter is left open, or the answer cannot be explained.
    """
    limits = limits or TwinFitLimits()
    state = _checked(command, state, limits, drive)
    begin = {**drive.held, **(start or {})}
    names = [n for n in begin if n.split(".")[-1] in kinds]
    q_start = state.values[0]

    def answer(x: Array) -> Array:
        return drive.answer(command, state.t_s, {**begin, **_values(names, x)}, q_start)

    x0 = np.array([begin[n] if n == DELAY else np.log(max(begin[n], 10 * _RANGE[0])) for n in names])
    bounds = np.array([(0.0, _MOST_DELAY_S) if n == DELAY else np.log(_RANGE) for n in names]).T
    x0 = np.clip(x0, bounds[0] + 1e-3, bounds[1] - 1e-3)
    found = least_squares(
        lambda x: (answer(x) - state.values).ravel(),
        x0,
        bounds=bounds,
        x_scale=_steps(names),
        diff_step=1e-3,
        gtol=None,  # residuals are a thousandth of a radian: their gradient is small from the start
        max_nfev=60,
    )
    after, before = answer(found.x), answer(x0)
    wide = _SURE * _standard_errors(found.jac, after - state.values, state.t_s)
    result = TwinFit(
        parameters={n: _fitted(n, x, w) for n, x, w in zip(names, found.x, wide, strict=True)},
        rms_before=_rms(before - state.values),
        rms_after=_rms(after - state.values),
        rms_command=_rms(_at(command, state.t_s) - state.values),
        at_s=state.t_s,
        measured=state.values,
        before=before,
        after=after,
        unit=drive.unit,
    )
    refuse(result, limits)
    return result


def refuse(result: TwinFit, limits: TwinFitLimits) -> None:
    """Raises CalibrationError for a motion that the fit does not explain, or parameters that it leaves open."""
    share = result.rms_after / max(result.rms_command, 1e-12)
    if not share <= limits.max_misfit:
        told = f"misfit {result.rms_after * 1e3:.2f} m{result.unit}, {share:.0%} of what the command alone leaves"
        raise CalibrationError(
            f"the twin's fit is refused: {told}, at most {limits.max_misfit:.0%}; check masses and tool"
        )
    for name, (value, half) in result.parameters.items():
        most = _allowed(name, value, limits)
        if not half <= most:
            told = f"{name} = {value:.3g} is known to {half:.2g}, at most {most:.2g}"
            do = (
                "record slow reversals (friction) and fast steps (armature, damping), or leave it out of what is fitted"
            )
            raise CalibrationError(f"the twin's fit is refused: {told}; {do}")


def _allowed(name: str, value: float, limits: TwinFitLimits) -> float:
    if name == DELAY:
        return limits.max_delay_half_width_s
    return max(limits.max_half_width * value, NEGLIGIBLE.get(name.split(".")[-1], 0.0))


def _checked(command: Signal, state: Signal, limits: TwinFitLimits, drive: Drive) -> Signal:
    """The state within the command's time. Raises CalibrationError where one of the two is no use."""
    for signal, what in ((command, "the command"), (state, "the state")):
        check_signal(signal, what, len(signal.t_s))
    if not command.values.shape[1] == state.values.shape[1] == len(drive.joints):
        told = f"{command.values.shape[1]} commanded and {state.values.shape[1]} measured joints"
        raise CalibrationError(f"{told}, {len(drive.joints)} are fitted; match them by name")
    inside = (state.t_s >= command.t_s[0]) & (state.t_s <= command.t_s[-1])
    if inside.sum() < 50:
        raise CalibrationError(f"{inside.sum()} samples of state lie within the command's, 50 are needed; record 5 s")
    values = state.values[inside]
    least = limits.min_motion_rad if drive.unit == "rad" else limits.min_motion_m
    for name, motion in zip(drive.joints, np.ptp(values, axis=0), strict=True):
        if motion < least:
            told = f"joint '{name}' moved by {motion:.3f} {drive.unit}, {least} are needed"
            raise CalibrationError(f"{told}; move it more, or leave it out")
    return Signal(state.t_s[inside], values)


def _values(names: list[str], x: Array) -> dict[str, float]:
    return {n: float(v) if n == DELAY else float(np.exp(v)) for n, v in zip(names, x, strict=True)}


def _steps(names: list[str]) -> Array:
    """How far each may go in one step of the search: 10 ms, or half its size."""
    return np.array([0.01 if n == DELAY else 0.5 for n in names])


def _fitted(name: str, x: float, half_width: float) -> Fitted:
    if name == DELAY:
        return Fitted(float(x), float(half_width))
    return Fitted(float(np.exp(x)), float(np.exp(x) * np.expm1(min(half_width, 50.0))))


def _standard_errors(jac: Array, misfit: Array, t_s: Array) -> Array:
    """Of every parameter (p,), with errors that may go together within blocks of a quarter second and over joints."""
    k = misfit.shape[1]
    block = np.repeat(((t_s - t_s[0]) / _BLOCK_S).astype(int), k)
    scores = np.stack([np.bincount(block, column * misfit.ravel()) for column in jac.T], axis=1)
    bread = np.linalg.pinv(jac.T @ jac)
    n, p = len(scores), jac.shape[1]
    sandwich = np.diag(bread @ (scores.T @ scores) @ bread) * n / max(n - p, 1)
    plain = np.diag(bread) * (misfit**2).sum() / max(misfit.size - p, 1)
    return np.sqrt(np.maximum(sandwich, plain))  # of few blocks the sandwich may come out too thin


def _at(command: Signal, t_s: Array) -> Array:
    return np.stack([np.interp(t_s, command.t_s, values) for values in command.values.T], axis=1)


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))
