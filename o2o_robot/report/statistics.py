"""How sure a count of successes is: rolling rates, and the test of a change on the same scenes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from o2o_robot.diagnostics.interval import wilson
from o2o_robot.types import Array


class Rolling(NamedTuple):
    """Success over the latest episodes at each episode: rate, lo, hi, each (N,)."""

    rate: Array
    lo: Array
    hi: Array


class Paired(NamedTuple):
    """Two policies on the same scenes: how many they share, how many the second gained and lost.

    p_value: two-sided exact sign test of gained against lost (McNemar's exact test); 1 where nothing changed.
    """

    n: int
    gained: int
    lost: int
    p_value: float


def rolling_success(is_success: Array, window: int) -> Rolling:
    """Rate and Wilson band of the latest `window` episodes (fewer at the start), for is_success (N,) bool."""
    total = np.concatenate([[0], np.cumsum(np.asarray(is_success, np.int64))])
    ends = np.arange(1, len(total))
    starts = np.maximum(ends - window, 0)
    counts, sizes = total[ends] - total[starts], ends - starts
    bands = [wilson(int(k), int(n)) for k, n in zip(counts, sizes, strict=True)]
    lo, hi = (np.array([getattr(band, end) for band in bands], np.float64) for end in ("lo", "hi"))
    return Rolling(counts / np.maximum(sizes, 1), lo, hi)


def paired(before: Mapping[int, bool], after: Mapping[int, bool]) -> Paired:
    """Success by scene seed of two policies, compared on the seeds that both met."""
    shared = before.keys() & after.keys()
    gained = sum(after[seed] and not before[seed] for seed in shared)
    lost = sum(before[seed] and not after[seed] for seed in shared)
    return Paired(len(shared), gained, lost, _sign_test(gained, lost))


def _sign_test(gained: int, lost: int) -> float:
    """Probability of a split at least this uneven if gain and loss were equally likely."""
    n, fewer = gained + lost, min(gained, lost)
    tail = sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n
    return min(1.0, 2 * tail)


def unpaired(k_first: int, n_first: int, k_second: int, n_second: int) -> float:
    """Two-sided p-value of two success counts on different scenes: Fisher's exact test; 1 where nothing was tried."""
    total, n, k = n_first + n_second, n_first, k_first + k_second
    if not 0 < n < total:
        return 1.0
    every = range(max(0, k - (total - n)), min(k, n) + 1)
    weight = {i: math.comb(n, i) * math.comb(total - n, k - i) for i in every}
    as_uneven = sum(w for w in weight.values() if w <= weight[k_first])  # whole numbers: no rounding at ties
    return as_uneven / math.comb(total, k)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """p-values held against several comparisons at once (Holm, Scand. J. Statist. 6 (1979) 65), in their order."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, highest = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, (len(p_values) - rank) * p_values[i])
        adjusted[i] = min(1.0, highest)
    return tuple(adjusted)
