"""What is the matter with a store, in a form for people: which episodes, what was seen, what to do."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from o2o_robot.types import Array


class Level(enum.IntEnum):
    """FAULT: learning from it is wrong. CHECK: a person should look. NOTE: worth knowing, and may well be meant."""

    FAULT = 0
    CHECK = 1
    NOTE = 2


class Finding(NamedTuple):
    """what: the thing, in a few words; seen: the numbers; episodes: their numbers in the store; remedy: what to do."""

    level: Level
    what: str
    seen: str
    episodes: tuple[int, ...]
    remedy: str


def ranges(numbers: Iterable[int]) -> str:
    """Episode numbers for people: 3, 7 to 9."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(_run(run) for run in runs)


def far_from_rest(values: Sequence[float] | Array, *, at_least: float, least_n: int = 5, spreads: float = 6.0) -> Array:
    """Which of values (N,) lie outside the rest: N bool.

    Outside is further from the median than `at_least` and than `spreads` robust standard deviations (of the median
    absolute deviation); with fewer than least_n values there is no rest to be outside of.
    """
    values = np.asarray(values, np.float64)
    if len(values) < least_n:
        return np.zeros(len(values), bool)
    far = np.abs(values - np.median(values))
    return far > max(at_least, spreads * 1.4826 * float(np.median(far)))


def _run(run: list[int]) -> str:
    if len(run) < 3:
        return ", ".join(map(str, run))
    return f"{run[0]} to {run[-1]}"
