"""Action-to-motion latency: how long after a command its joint moves, as dead time and as time constant.

The arm's answer to a commanded position is taken for dead time and a first-order lag in a row,
tau dq/dt = gain u(t - d) + offset - q; the latency of a slow change is d + tau. Each joint with enough motion is
fitted by itself, so that they vouch for each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.signal import lfilter

from o2o_calibration.delay import Signal, check_signal
from o2o_calibration.errors import CalibrationError
from o2o_robot.types import Array

_GRID_S = 0.005  # finer than any command rate met; the fit interpolates between
_SURE = 1.96


@dataclass(frozen=True)
class ActionLimits:
    """Where the answer is looked for, and what it must be to be believed."""

    most_s: float = 1.0
    """Longest dead time and longest time constant considered."""
    min_motion_rad: float = 0.05
    """A joint whose command changes by less is passed over."""
    min_explained: float = 0.9
    """Share of a joint's variance that its command must explain."""
    max_half_width_s: float = 0.05
    """Half-width of the latency's 95 % interval."""
    min_joints: int = 1
    """Joints that must answer."""


class JointAnswer(NamedTuple):
    """How one joint follows its command: after dead_s of nothing, with time constant lag_s."""

    name: str
    dead_s: float
    lag_s: float
    gain: float
    explained: float

    @property
    def latency_s(self) -> float:
        return self.dead_s + self.lag_s


@dataclass(frozen=True)
class ActionLatency:
    """latency_s: the median over joints, with its 95 % interval (the joints are the sample, drawn with replacement).

    dead_s, lag_s: medians of the two parts, which are less well known than their sum.
    """

    latency_s: float
    half_width_s: float
    dead_s: float
    lag_s: float
    joints: tuple[JointAnswer, ...]
    passed_over: tuple[str, ...]


def action_latency(
    command: Signal,
    state: Signal,
    names: tuple[str, ...],
    *,
    rng: np.random.Generator,
    limits: ActionLimits | None = None,
) -> ActionLatency:
    """From commanded and measured joint positions, the same joints in the same order, (n, k) and (m, k) rad.

    Raises CalibrationError where too few joints move or follow, or they do not agree.
    """
    limits = limits or ActionLimits()
    for signal, what in ((command, "the command"), (state, "the state")):
        check_signal(signal, what, len(signal.t_s))
    if command.values.shape[1] != state.values.shape[1] or len(names) != state.values.shape[1]:
        told = f"{command.values.shape[1]} commanded, {state.values.shape[1]} measured and {len(names)} named joints"
        raise CalibrationError(f"{told}; match them by name")
    moving = np.flatnonzero(np.ptp(command.values, axis=0) >= limits.min_motion_rad)
    answers = [joint_answer(command, state, int(j), names[j], limits) for j in moving]
    good = tuple(a for a in answers if a.explained >= limits.min_explained)
    if len(good) < limits.min_joints:
        told = f"{len(moving)} of {len(names)} joints were moved and {len(good)} follow their command"
        raise CalibrationError(f"the action latency is refused: {told}; record commanded steps in free space")
    found = _summary(good, tuple(n for n in names if n not in {a.name for a in good}), rng)
    if not found.half_width_s <= limits.max_half_width_s:
        told = f"known to {found.half_width_s * 1e3:.0f} ms, at most {limits.max_half_width_s * 1e3:g}"
        raise CalibrationError(f"the action latency is refused: {told}, since {_range(good)}; name joints of one kind")
    return found


def joint_answer(command: Signal, state: Signal, j: int, name: str, limits: ActionLimits) -> JointAnswer:
    """Dead time, time constant and gain of joint j by least squares: a coarse grid, then Nelder and Mead's simplex."""
    t_s = np.arange(command.t_s[0], command.t_s[-1], _GRID_S)
    u = np.interp(t_s, command.t_s, command.values[:, j])
    inside = (state.t_s > t_s[0] + limits.most_s) & (state.t_s < t_s[-1])
    if inside.sum() < 30:
        raise CalibrationError("command and state overlap by less than 30 samples; record both for 10 s and more")
    at_s, q = state.t_s[inside], state.values[inside, j]

    def unexplained(parts: Array) -> float:
        dead_s, lag_s = parts
        if not (0 <= dead_s <= limits.most_s and 0 <= lag_s <= limits.most_s):
            return 2.0
        return _fit(np.interp(at_s - dead_s, t_s, _lagged(u, lag_s)), q)[0]

    coarse = np.linspace(0, limits.most_s, 11)
    start = min(((d, tau) for d in coarse for tau in coarse), key=lambda parts: unexplained(np.array(parts)))
    simplex = np.array([start, (start[0] + 0.05, start[1]), (start[0], start[1] + 0.05)])
    best = minimize(unexplained, start, method="Nelder-Mead", options={"initial_simplex": simplex, "xatol": 1e-4}).x
    rest, gain = _fit(np.interp(at_s - best[0], t_s, _lagged(u, best[1])), q)
    return JointAnswer(name, float(best[0]), float(best[1]), gain, 1 - rest)


def rms_apart_rad(command: Signal, state: Signal, delay_s: float) -> float:
    """How far state (n, k) is from the command delayed by delay_s: root mean square over joints and samples, rad."""
    at_s = np.clip(state.t_s - delay_s, command.t_s[0], command.t_s[-1])
    delayed = np.stack([np.interp(at_s, command.t_s, values) for values in command.values.T], axis=1)
    return float(np.sqrt(np.mean((delayed - state.values) ** 2)))


def _lagged(u: Array, lag_s: float) -> Array:
    """u on the grid through a first-order lag, at rest at its first value."""
    keep = float(np.exp(-_GRID_S / lag_s)) if lag_s > 1e-6 else 0.0
    return np.asarray(lfilter([1 - keep], [1, -keep], u - u[0]) + u[0])


def _fit(answer: Array, q: Array) -> tuple[float, float]:
    """The share of q's variance that gain * answer + offset leaves, and the gain."""
    x, y = answer - answer.mean(), q - q.mean()
    xx, yy = float(x @ x), max(float(y @ y), 1e-12)
    gain = float(x @ y) / xx if xx > 1e-12 else 0.0
    return float(((y - gain * x) ** 2).sum()) / yy, gain


def _range(good: tuple[JointAnswer, ...]) -> str:
    first, last = min(good, key=lambda a: a.latency_s), max(good, key=lambda a: a.latency_s)
    return f"'{first.name}' answers after {first.latency_s:.2f} s and '{last.name}' after {last.latency_s:.2f} s"


def _summary(good: tuple[JointAnswer, ...], passed: tuple[str, ...], rng: np.random.Generator) -> ActionLatency:
    latency = np.array([answer.latency_s for answer in good])
    drawn = np.median(latency[rng.integers(0, len(good), (500, len(good)))], axis=1)
    return ActionLatency(
        latency_s=float(np.median(latency)),
        half_width_s=float(_SURE * drawn.std()),
        dead_s=float(np.median([answer.dead_s for answer in good])),
        lag_s=float(np.median([answer.lag_s for answer in good])),
        joints=good,
        passed_over=passed,
    )
