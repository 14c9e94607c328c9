"""Episodes without a label, of another length, pace or layout than the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from o2o_robot.data.health.finding import Finding, Level, far_from_rest
from o2o_robot.data.health.vitals import Vitals
from o2o_robot.types import Outcome

_LABELS = (Outcome.SUCCESS.value, Outcome.FAILURE.value)
_LEAST_STEPS = 3
_LENGTH_FACTOR = 4.0
_RATE_OFF = 0.1
_JITTER = 0.2  # of the period, on average
_RATE_MOST_HZ = 2000.0  # no policy ticks faster: stamps are then no nanoseconds


def labels(vitals: Sequence[Vitals]) -> Iterator[Finding]:
    """Outcomes that nobody gave, that the rewards contradict, or that are all the same."""
    unknown = tuple(v.number for v in vitals if v.outcome not in _LABELS)
    if unknown:
        seen = f"outcome is neither success nor failure in {len(unknown)} of {len(vitals)} episodes"
        yield Finding(Level.CHECK, "labels are missing", seen, unknown, "label them: o2o label STORE")
    unpaid = tuple(v.number for v in vitals if v.outcome == Outcome.SUCCESS.value and v.reward_sum == 0)
    if unpaid:
        remedy = "label them again, so that the reward follows: o2o label STORE"
        yield Finding(Level.FAULT, "successes without reward", "the rewards sum to 0", unpaid, remedy)
    loose = tuple(v.number for v in vitals if not v.is_ended)
    if loose:
        seen = "the last step is neither terminated nor truncated"
        yield Finding(Level.NOTE, "episodes have no end", seen, loose, "values bootstrap there, as after a time limit")
    if len(vitals) >= 10 and not unknown and len({v.outcome for v in vitals}) == 1:
        seen = f"all {len(vitals)} episodes are a {vitals[0].outcome}"
        remedy = "offline RL learns from the contrast: add some of the other kind if you have them"
        yield Finding(Level.NOTE, "every episode ended alike", seen, (), remedy)


def lengths(vitals: Sequence[Vitals]) -> Iterator[Finding]:
    """Episodes of next to no steps, and those far shorter or longer than the rest."""
    tiny = tuple(v.number for v in vitals if v.n_steps < _LEAST_STEPS)
    if tiny:
        seen = f"fewer than {_LEAST_STEPS} steps"
        yield Finding(Level.CHECK, "episodes are next to empty", seen, tiny, "delete them, or mend the split")
    n_steps = np.array([v.n_steps for v in vitals])
    far = far_from_rest(np.log(n_steps), at_least=float(np.log(_LENGTH_FACTOR)), spreads=4.0)
    for is_side, side in ((n_steps < np.median(n_steps), "shorter"), (n_steps > np.median(n_steps), "longer")):
        chosen = [v for v, is_it in zip(vitals, far & is_side, strict=True) if is_it and v.number not in tiny]
        if chosen:
            steps = sorted(v.n_steps for v in chosen)
            seen = f"{_span(steps)} steps; the median is {np.median(n_steps):.0f}"
            remedy = "look whether the recording was cut or left running; trim or delete"
            numbers = tuple(v.number for v in chosen)
            yield Finding(Level.CHECK, f"episodes are far {side} than the rest", seen, numbers, remedy)


def timing(vitals: Sequence[Vitals]) -> Iterator[Finding]:
    """Stamps that are no time, other rates, gaps, jitter."""
    rate = np.array([v.pace.rate_hz for v in vitals])
    absurd = tuple(v.number for v, hz in zip(vitals, rate, strict=True) if hz > _RATE_MOST_HZ)
    if absurd:
        seen, remedy = "ticks faster than 2 kHz", "stamp_ns must be nanoseconds; ages and rates mean nothing here"
        yield Finding(Level.FAULT, "stamps are not a time", seen, absurd, remedy)
    usual = float(np.median(rate))
    odd = [v for v in vitals if v.number not in absurd and abs(v.pace.rate_hz / usual - 1) > _RATE_OFF]
    if odd:
        seen = f"{_span(sorted(round(v.pace.rate_hz, 1) for v in odd))} Hz; usually {usual:.4g}"
        remedy = "ingest all with one --hz: a policy learns one step length"
        yield Finding(Level.CHECK, "episodes tick at another rate", seen, tuple(v.number for v in odd), remedy)
    gappy = [v for v in vitals if v.pace.n_gaps and v.number not in absurd]
    if gappy:
        n, longest_s = sum(v.pace.n_gaps for v in gappy), max(v.pace.longest_s for v in gappy)
        seen = f"{n} waits beyond 1.5 periods, the longest {longest_s:.3g} s"
        remedy = "lower max_gap_periods of the contract to cut there; was the machine overloaded?"
        yield Finding(Level.CHECK, "ticks are missing", seen, tuple(v.number for v in gappy), remedy)
    shaky = [v for v in vitals if v.jitter_s * v.pace.rate_hz > _JITTER and v.number not in absurd]
    if shaky:
        seen = f"the period varies by {1000 * max(v.jitter_s for v in shaky):.3g} ms on average"
        remedy = "tick on a steadier stream, or record with less load"
        yield Finding(Level.CHECK, "ticks are unsteady", seen, tuple(v.number for v in shaky), remedy)


def layouts(vitals: Sequence[Vitals]) -> Iterator[Finding]:
    """Episodes that hold other fields or shapes: no batch can mix them."""
    counts = Counter(v.layout for v in vitals)
    if len(counts) > 1:
        usual = counts.most_common(1)[0][0]
        numbers = tuple(v.number for v in vitals if v.layout != usual)
        seen = f"{len(counts)} layouts; {counts[usual]} episodes share the usual one"
        remedy = "ingest all with one contract, or keep them in stores of their own"
        yield Finding(Level.FAULT, "episodes hold other fields", seen, numbers, remedy)


def _span(values: Sequence[float]) -> str:
    return f"{values[0]:g}" if values[0] == values[-1] else f"{values[0]:g} to {values[-1]:g}"
