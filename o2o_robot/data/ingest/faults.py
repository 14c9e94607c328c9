"""What goes wrong with a stream, found from its stamps, its times of receipt, and whether its content changes at all.

Pure NumPy on one stream each, in int64 nanoseconds; what is done about a fault is decided elsewhere (examine.py).
"""

from __future__ import annotations

import itertools
from typing import Literal, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from o2o_robot.types import Array

Kind = Literal["clock_jump", "outlier_stamp", "duplicate_stamp", "backward_stamp", "frozen", "gap", "rate_change"]
Done = Literal["kept", "cut", "rejected", "passed over", "outside"]

_FEW = 3  # messages: fewer do not confirm that a clock has leapt
_LATENCY_WINDOW_NS = 10e9
_BLOCK, _SIDE = 10, 5  # a rate is a median over 5 blocks of 10 periods: two odd ones of them change nothing


class Fault(NamedTuple):
    """One thing wrong with `topic` from message number `message` on, at its stamp at_ns, and what was done about it.

    done: `kept` and said, `cut` there, the episode `rejected`, the messages `passed over`, or `outside` every episode.
    """

    kind: Kind
    topic: str
    at_ns: int
    message: int
    detail: str
    done: Done = "kept"


class Leaps(NamedTuple):
    """start (E,): messages with which a new time base begins. outlier (O,): messages whose stamp nothing confirms."""

    start: Array
    outlier: Array


def clock_leaps(stamp_ns: Array, receipt_ns: Array, jump_ns: float) -> Leaps:
    """Where the clock of a stream (N,), in order of receipt, leaps by more than jump_ns.

    Back: stamps fall. Forward: a message is stamped later, against its receipt, than any of the last ten seconds; no
    latency explains that, since a message cannot arrive before it was stamped. A late message is no leap, nor is a
    pause of the receiver, while stamps go on as before. A leap of fewer than three messages is of no time base.
    """
    lead_ns = stamp_ns.astype(np.float64) - receipt_ns
    breaks = leap_candidates(stamp_ns, receipt_ns, jump_ns)
    pieces = list(itertools.pairwise([0, *breaks.tolist(), len(stamp_ns)]))
    long = [piece for piece in pieces if piece[1] - piece[0] >= _FEW]
    if len(pieces) < 2 or not long:
        return Leaps(np.zeros(0, np.int64), np.zeros(0, np.int64))
    base_ns, newest_ns = _lead_at_start(lead_ns, receipt_ns, *long[0]), -np.inf
    starts: list[int] = []
    outliers = [np.zeros(0, np.int64)]
    for first, last in pieces:
        if last - first < _FEW:
            ahead_ns = lead_ns[first:last] - base_ns
            # before the first time base nothing can be late, so what is behind it is of another clock as well
            is_beyond = ahead_ns > jump_ns if np.isfinite(newest_ns) else np.abs(ahead_ns) > jump_ns
            outliers.append(first + np.flatnonzero(is_beyond))
            continue
        is_ahead = _lead_at_start(lead_ns, receipt_ns, first, last) > base_ns + jump_ns
        if is_ahead or stamp_ns[first] < newest_ns - jump_ns:
            starts.append(first)
            newest_ns = -np.inf
        base_ns = _lead_at_end(lead_ns, receipt_ns, first, last)
        newest_ns = max(newest_ns, float(stamp_ns[first:last].max()))
    return Leaps(np.array(starts, np.int64), np.concatenate(outliers))


def leap_candidates(stamp_ns: Array, receipt_ns: Array, jump_ns: float) -> Array:
    """Messages (C,) whose stamp is far before that of the one before, or farther after it than their receipts tell."""
    step_ns = np.diff(stamp_ns.astype(np.float64))
    gained_ns = step_ns - np.diff(receipt_ns.astype(np.float64))
    return np.flatnonzero((step_ns < -jump_ns) | (gained_ns > jump_ns) & (step_ns > jump_ns)) + 1


def _lead_at_start(lead_ns: Array, receipt_ns: Array, first: int, last: int) -> float:
    """The lead of the fastest message (least latency) in the first ten seconds of [first, last)."""
    away_ns = receipt_ns[first:last] - receipt_ns[first]
    return float(lead_ns[first:last][away_ns <= _LATENCY_WINDOW_NS].max())


def _lead_at_end(lead_ns: Array, receipt_ns: Array, first: int, last: int) -> float:
    """The same of the last ten seconds."""
    away_ns = receipt_ns[last - 1] - receipt_ns[first:last]
    return float(lead_ns[first:last][away_ns <= _LATENCY_WINDOW_NS].max())


def frozen(stamp_ns: Array, version: Array, longer_ns: float) -> Array:
    """Stretches (F, 2) of first and last index over which the content of an increasing stream (N,) stays the same.

    Only those that last longer than longer_ns. version (N,): see streams.Stream.
    """
    edge = np.concatenate([[0], np.flatnonzero(np.diff(version)) + 1, [len(version)]])
    stretch = np.stack([edge[:-1], edge[1:] - 1], axis=1)
    return stretch[stamp_ns[stretch[:, 1]] - stamp_ns[stretch[:, 0]] > longer_ns] if len(version) else stretch[:0]


def rate_changes(stamp_ns: Array, factor: float) -> Array:
    """Indices (C,) of an increasing stream (N,) from which on its period is another by more than `factor`.

    The median of 50 periods before is set against the median of 50 after, so that neither jitter nor a gap, nor
    a shorter spell of another rate, is a change.
    """
    period_ns = np.diff(stamp_ns).astype(np.float64)
    n_blocks = len(period_ns) // _BLOCK
    if n_blocks < 2 * _SIDE:
        return np.zeros(0, np.int64)
    block = np.median(period_ns[: n_blocks * _BLOCK].reshape(n_blocks, _BLOCK), axis=1)
    side = np.median(sliding_window_view(block, _SIDE), axis=1)
    size = np.abs(np.log(side[_SIDE:] / side[:-_SIDE]))
    changed = np.flatnonzero(size > np.log(factor))
    stretches = np.split(changed, np.flatnonzero(np.diff(changed) > _SIDE) + 1) if len(changed) else []
    strongest = [int(stretch[np.argmax(size[stretch])]) for stretch in stretches]
    return np.array([_exactly(period_ns, i, side[i], side[i + _SIDE]) for i in strongest], np.int64)


def _exactly(period_ns: Array, i: int, before_ns: float, after_ns: float) -> int:
    """The index, near block i + 5, that parts periods like before_ns from those like after_ns with fewest strays."""
    middle = (i + _SIDE) * _BLOCK
    first, last = middle - 3 * _BLOCK, middle + 3 * _BLOCK  # two odd blocks may hide on either side
    threshold_ns = np.sqrt(before_ns * after_ns)
    is_after = (period_ns[first:last] > threshold_ns) == (after_ns > before_ns)
    strays = np.append(0, np.cumsum(is_after)) + np.append(np.cumsum(~is_after[::-1])[::-1], 0)
    return first + int(np.argmin(strays))
