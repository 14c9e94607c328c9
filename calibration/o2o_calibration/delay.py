"""How long one signal comes after another that causes it, finer than either is sampled.

Between two samples of the follower the cause has moved by some amount; the delay is the shift of the cause's clock at
which those amounts explain the follower best, by least squares. That is cross-correlation, for many channels at once,
with the follower's exposure averaged as it really was, whatever samples are missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from o2o_calibration.errors import CalibrationError
from o2o_robot.types import Array

_SURE = 1.96


@dataclass(frozen=True)
class DelayLimits:
    """Where delays are looked for, and what a peak must be to be believed."""

    least_s: float = -0.1
    """Shortest delay considered; below zero, the follower's stamps are early."""
    most_s: float = 0.6
    """Longest delay considered."""
    step_s: float = 0.005
    """Spacing of the delays that are tried; the result is interpolated between them."""
    min_explained: float = 0.5
    """Share of the follower's variance that the cause explains at the peak."""
    max_rival: float = 0.9
    """Height of the second peak, as a share of the first: a steady rhythm fits as well one beat later."""
    max_half_width_s: float = 0.005
    """Half-width of the 95 % interval."""
    min_rows: int = 60
    """Samples of the follower that can be compared."""


class Signal(NamedTuple):
    """Samples of something: t_s (n,) increasing, values (n, k)."""

    t_s: Array
    values: Array


@dataclass(frozen=True)
class Delay:
    """The follower comes s after its cause, half_width_s either way with 95 % confidence.

    shifts_s, explained (m,): the share of variance explained at every shift. rival: the second peak's height over the
    first. n_rows: samples compared.
    """

    s: float
    half_width_s: float
    shifts_s: Array
    explained: Array
    rival: float
    n_rows: int

    @property
    def peak(self) -> float:
        return float(self.explained.max())


def delay(
    cause: Signal, motion: Signal, *, rng: np.random.Generator, limits: DelayLimits | None = None, n_bootstrap: int = 40
) -> Delay:
    """How long `motion` comes after the changes of `cause`.

    motion.values[i] is how much was seen to move between t_s[i] and t_s[i + 1], so it has one row less than t_s; rows
    that are not finite (a dropped frame) are passed over. cause.values are positions, whose changes are compared.
    Raises CalibrationError where the peak is not clear, and says what motion to make.
    """
    limits = limits or DelayLimits()
    check_signal(cause, "the cause", len(cause.t_s))
    check_signal(motion, "the motion", len(motion.t_s) - 1)
    shifts_s = np.arange(limits.least_s, limits.most_s + limits.step_s / 2, limits.step_s)
    rows = _comparable(cause, motion, limits)
    if rows.sum() < limits.min_rows:
        told = f"only {rows.sum()} samples of motion lie within the cause's recording, {limits.min_rows} are needed"
        raise CalibrationError(f"{told}; record both for 10 s and more")
    seen = motion.values[rows]
    if not np.ptp(seen, axis=0).any() or not np.ptp(cause.values, axis=0).any():
        raise CalibrationError("nothing moves in one of the two; shake the arm while recording")
    caused = _changes(cause, motion.t_s[:-1][rows], motion.t_s[1:][rows], shifts_s)
    score = _scorer(caused, seen)
    explained = score(np.ones(rows.sum()))
    found = Delay(
        s=_peak_s(shifts_s, explained),
        half_width_s=_half_width_s(score, shifts_s, int(rows.sum()), motion.t_s, rng, n_bootstrap),
        shifts_s=shifts_s,
        explained=explained,
        rival=_rival(shifts_s, explained),
        n_rows=int(rows.sum()),
    )
    refuse(found, limits)
    return found


def refuse(found: Delay, limits: DelayLimits) -> None:
    """Raises CalibrationError where the peak is low, at the edge, not alone, or not sharp enough."""
    at = int(found.explained.argmax())
    if not found.peak >= limits.min_explained:
        told = f"at best {found.peak:.0%} of the motion is explained, {limits.min_explained:.0%} are needed"
        raise CalibrationError(f"the delay is refused: {told}; shake with more reach, before a picture with texture")
    if at in (0, len(found.explained) - 1):
        told = f"the best delay is at the edge of {limits.least_s:g} to {limits.most_s:g} s"
        raise CalibrationError(f"the delay is refused: {told}; check the clocks, then widen the range")
    if found.rival > limits.max_rival:
        told = f"a second peak is {found.rival:.0%} as high as the first, at most {limits.max_rival:.0%}"
        raise CalibrationError(f"the delay is refused: {told}; shake irregularly, changing the tempo")
    if not found.half_width_s <= limits.max_half_width_s:
        told = f"known to {found.half_width_s * 1e3:.1f} ms, at most {limits.max_half_width_s * 1e3:g}"
        raise CalibrationError(f"the delay is refused: {told}; shake faster and longer")


def check_signal(signal: Signal, what: str, n_rows: int) -> None:
    """Raises CalibrationError for stamps that do not increase, or rows that do not fit them."""
    if signal.values.ndim != 2 or len(signal.values) != n_rows:
        raise CalibrationError(f"{what} has {signal.values.shape} values for {len(signal.t_s)} stamps; give (n, k)")
    if len(signal.t_s) < 3 or not np.isfinite(signal.t_s).all() or (np.diff(signal.t_s) <= 0).any():
        raise CalibrationError(f"the stamps of {what} do not increase from 3 on; drop repeated and backward ones")


def in_order(t_s: Array, values: Array) -> Signal:
    """The samples less those whose stamp repeats or goes back, and those that are not finite."""
    is_whole = np.isfinite(values).all(axis=1)
    t_s, values = t_s[is_whole], values[is_whole]
    is_later = np.concatenate([[True], t_s[1:] > np.maximum.accumulate(t_s)[:-1]]) if len(t_s) else np.zeros(0, bool)
    return Signal(t_s[is_later], values[is_later])


def _comparable(cause: Signal, motion: Signal, limits: DelayLimits) -> Array:
    """Rows of motion that were seen, and for which the cause is known at every shift."""
    inside = (motion.t_s[:-1] - limits.most_s >= cause.t_s[0]) & (motion.t_s[1:] - limits.least_s <= cause.t_s[-1])
    return np.asarray(inside & np.isfinite(motion.values).all(axis=1))


def _changes(cause: Signal, from_s: Array, to_s: Array, shifts_s: Array) -> Array:
    """By how much the cause changed over each row's time, earlier by each shift: (m, n, k)."""
    moved = np.empty((len(shifts_s), len(from_s), cause.values.shape[1]))
    for j, values in enumerate(cause.values.T):
        before, after = (np.interp(t[None] - shifts_s[:, None], cause.t_s, values) for t in (from_s, to_s))
        moved[:, :, j] = after - before
    return moved


def _scorer(caused: Array, seen: Array) -> Callable[[Array], Array]:
    """weights (n,) -> share of the variance of `seen` (n, d) that a linear map of caused[i] (n, k) explains, (m,).

    Each channel of `seen` counts by its own variance: all are of one kind and unit.
    """
    k = caused.shape[2]
    ridge = 1e-9 * np.einsum("mnk,mnk->m", caused, caused)[:, None, None] * np.eye(k) + 1e-300 * np.eye(k)

    def score(weights: Array) -> Array:
        w = weights / weights.sum()
        x = caused - np.einsum("n,mnk->mk", w, caused)[:, None]
        y = seen - w @ seen
        wx = x * w[None, :, None]
        xx, xy = np.swapaxes(wx, 1, 2) @ x + ridge, np.swapaxes(wx, 1, 2) @ y
        explained = (xy * np.linalg.solve(xx, xy)).sum(axis=(1, 2))
        return np.asarray(explained / max(float(w @ (y**2).sum(axis=1)), 1e-300))

    return score


def _peak_s(shifts_s: Array, explained: Array) -> float:
    """Where a parabola through the highest score and its neighbours is highest."""
    i = int(np.clip(explained.argmax(), 1, len(explained) - 2))
    before, at, after = explained[i - 1 : i + 2]
    bend = before - 2 * at + after
    step = 0.0 if bend >= 0 else float(np.clip(0.5 * (before - after) / bend, -1, 1))
    return float(shifts_s[i] + step * (shifts_s[1] - shifts_s[0]))


def _rival(shifts_s: Array, explained: Array) -> float:
    """The highest other local maximum, as a share of the first."""
    inner = explained[1:-1]
    tops = np.flatnonzero((inner >= explained[:-2]) & (inner > explained[2:])) + 1
    others = explained[tops[tops != explained.argmax()]]
    return float(others.max() / explained.max()) if len(others) and explained.max() > 0 else 0.0


def _half_width_s(
    score: Callable[[Array], Array], shifts_s: Array, n: int, t_s: Array, rng: np.random.Generator, n_bootstrap: int
) -> float:
    """Half-width of the 95 % interval, from blocks of half a second drawn with replacement (Künsch 1989)."""
    block = int(np.clip(round(0.5 / float(np.median(np.diff(t_s)))), 1, max(n // 8, 1)))
    peaks = []
    for _ in range(n_bootstrap):
        starts = rng.integers(0, n, -(-n // block))
        rows = (starts[:, None] + np.arange(block)).ravel()[:n] % n
        peaks.append(_peak_s(shifts_s, score(np.bincount(rows, minlength=n).astype(float))))
    return float(_SURE * np.std(peaks))
