"""States and actions that stand still, leap, hit their end, come late, or are in another unit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from o2o_robot.data.health.finding import Finding, Level
from o2o_robot.data.health.vitals import Columns, Vitals
from o2o_robot.types import Array

_IDLE = 1e-5
_SATURATED = 0.3  # share of the steps
_LEAP_RAD, _LEAP_M, _LEAP_TIMES = 1.0, 0.2, 10.0
_LATE_S, _LATE_STEPS = 0.25, 2
_RAD_MOST = 4 * np.pi  # two turns either way; no arm's joint goes further
_M_MOST = 10.0


def idle(vitals: Sequence[Vitals]) -> Iterator[Finding]:
    """Columns that never change: everywhere (a note: it may be meant), or in some episodes and not in others."""
    for label, parts in _fields(vitals):
        spread = _stacked(parts, lambda c: c.spread)
        low, high = _stacked(parts, lambda c: c.low).min(0), _stacked(parts, lambda c: c.high).max(0)
        never = high - low < _IDLE
        numbers = [v.number for v, _ in parts]
        if never.any():
            remedy = "check the sensor or joint; if it is meant, leave it out of the policy's inputs"
            if label == "action":
                remedy = "drop it from the contract's action, it only adds noise to learn"
            seen = f"{_indices(label, never)} always {_values(low[never])}"
            yield Finding(Level.NOTE, f"{label} never changes", seen, tuple(numbers), remedy)
        stuck = (spread < _IDLE) & ~never & (np.mean(spread < _IDLE, axis=0) < 0.2)
        if label != "action" and (episodes := _at(numbers, stuck.any(axis=1))):
            seen = f"{_indices(label, stuck.any(axis=0))} stands still there and moves in the rest"
            remedy = "was the joint locked, or its encoder dead? delete these episodes if so"
            yield Finding(Level.CHECK, f"{label} is dead in some episodes", seen, episodes, remedy)


def units(vitals: Sequence[Vitals]) -> Iterator[Finding]:
    """Radians that look like degrees, metres that look like millimetres, quaternions that are none."""
    for name, most, looks, remedy in (
        ("_rad", _RAD_MOST, "degrees", "convert to radians before ingestion, or rename the field"),
        ("_m", _M_MOST, "millimetres", "convert to metres before ingestion, or rename the field"),
    ):
        for label, parts in _fields(vitals):
            if label.endswith(name) and not label.endswith("dq_rad"):
                largest = np.array([max(abs(c.low).max(), abs(c.high).max()) for _, c in parts])
                if episodes := _at([v.number for v, _ in parts], largest > most):
                    seen = f"up to {largest.max():.4g}"
                    yield Finding(Level.FAULT, f"{label} looks like {looks}", seen, episodes, remedy)
    off = {v.number: norm for v in vitals for norm in v.quat_norm.values() if abs(norm - 1) > 0.02}
    if off:
        seen = f"norm {max(off.values(), key=lambda n: abs(n - 1)):.3g}, should be 1"
        remedy = "check the order (x, y, z, w) and the source's pose; normalise at ingestion"
        yield Finding(Level.FAULT, "a quaternion is not of unit length", seen, tuple(off), remedy)


def leaps(vitals: Sequence[Vitals]) -> Iterator[Finding]:
    """A state that is suddenly elsewhere: an encoder step, a wrapped angle, a lost marker."""
    for label, parts in _fields(vitals):
        least = _LEAP_RAD if label.endswith("q_rad") and not label.endswith("dq_rad") else _LEAP_M
        if not label.endswith(("_m", "q_rad")) or label.endswith("dq_rad"):
            continue
        leap, usual = _stacked(parts, lambda c: c.leap), _stacked(parts, lambda c: c.usual)
        is_leap: Array = leap > np.maximum(least, _LEAP_TIMES * usual)
        if episodes := _at([v.number for v, _ in parts], np.any(is_leap, axis=1)):
            far, unit = leap[is_leap].max(), "rad" if least == _LEAP_RAD else "m"
            wraps = " (a full turn: the angle wraps)" if abs(far - 2 * np.pi) < 0.1 and unit == "rad" else ""
            seen = f"{_indices(label, np.any(is_leap, axis=0))}: {far:.3g} {unit} in one step{wraps}"
            remedy = "cut the recording there, or unwrap the angle; a critic learns the leap as if it were motion"
            yield Finding(Level.CHECK, f"{label} leaps", seen, episodes, remedy)


def saturation(vitals: Sequence[Vitals]) -> Iterator[Finding]:
    """Actions at -1 or +1 so often that more was wanted; a gripper's switch is left out."""
    for width in sorted({len(v.saturated) for v in vitals}):
        having = [v for v in vitals if len(v.saturated) == width]
        steps = np.array([v.n_steps for v in having], np.float64)
        share = np.average([v.saturated for v in having], axis=0, weights=steps)
        is_switch = np.mean([v.is_switch for v in having], axis=0) > 0.5
        full = (share > _SATURATED) & ~is_switch
        if full.any():
            own = np.array([v.saturated[full].max() for v in having]) > _SATURATED
            seen = f"{_indices('action', full)} at full scale in {_percents(share[full])} of the steps"
            remedy = (
                "a hand that rests open or closed is fine; else raise the action scale, more was wanted than it allows"
            )
            episodes = _at([v.number for v in having], own)
            yield Finding(Level.CHECK, "actions are saturated", seen, episodes, remedy)


def delay(vitals: Sequence[Vitals]) -> Iterator[Finding]:
    """State that answers late, or before it was asked."""
    known = [v for v in vitals if v.lag]
    if not known:
        return
    steps = float(np.median([v.lag.steps for v in known if v.lag]))
    s = float(np.median([v.lag.s for v in known if v.lag]))
    episodes = tuple(v.number for v in known)
    seen = f"{abs(s):.2f} s ({abs(steps):g} steps), from {len(known)} episodes"
    if s >= _LATE_S and steps >= _LATE_STEPS:
        remedy = "give the policy frame_stack or action chunks as long as the delay, or tune the arm's controller"
        yield Finding(Level.CHECK, "the state follows the action late", seen, episodes, remedy)
    if steps <= -_LATE_STEPS:
        remedy = "compare the stamps of both topics; is the action topic an echo of the measured state?"
        yield Finding(Level.CHECK, "the state moves before its action", seen, episodes, remedy)


def _fields(vitals: Sequence[Vitals]) -> Iterator[tuple[str, list[tuple[Vitals, Columns]]]]:
    """("state q_rad", its columns in every episode), episodes of another width apart; then ("action", ...)."""
    names = dict.fromkeys((name, len(c.low)) for v in vitals for name, c in v.state.items())
    for name, width in names:
        yield name, [(v, v.state[name]) for v in vitals if name in v.state and len(v.state[name].low) == width]
    for width in sorted({len(v.action.low) for v in vitals}):
        yield "action", [(v, v.action) for v in vitals if len(v.action.low) == width]


def _stacked(parts: list[tuple[Vitals, Columns]], what: Callable[[Columns], Array]) -> Array:
    """One column property of every episode: (episodes, k)."""
    return np.stack([what(columns) for _, columns in parts])


def _at(numbers: Sequence[int], mask: Array) -> tuple[int, ...]:
    return tuple(number for number, is_so in zip(numbers, mask, strict=True) if is_so)


def _indices(label: str, mask: Array) -> str:
    shown = [str(i) for i in np.flatnonzero(mask)]
    return f"{label}[{', '.join(shown[:12])}{', ...' if len(shown) > 12 else ''}]"


def _values(values: Array) -> str:
    return ", ".join(f"{value:.3g}" for value in np.unique(values.round(6))[:3])


def _percents(shares: Array) -> str:
    low, high = 100 * shares.min(), 100 * shares.max()
    return f"{low:.0f} %" if round(low) == round(high) else f"{low:.0f} to {high:.0f} %"
