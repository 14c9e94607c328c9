"""One clock for many streams: ticks on a reference stream, and at every tick the latest message that was already there.

Pure NumPy, stamps in int64 nanoseconds. Nothing here ever looks into the future: at a tick the policy of a live robot
could not have seen a later frame either.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from o2o_robot.types import Array

_SHORTEST_PERIOD = 0.6  # of the nominal one, between two ticks


class Ordered(NamedTuple):
    """The messages of a stream whose stamps increase strictly: position (M,) in the stream, and stamp_ns (M,).

    duplicate, backward: positions that were passed over. Of messages with equal stamps the last received stays; a
    message older than one already received is never sorted in, because a jumping clock cannot be told from a late one.
    """

    position: Array
    stamp_ns: Array
    duplicate: Array
    backward: Array


class Match(NamedTuple):
    """At each of N ticks: position (N,) of the latest message that is not newer; fresh (N,): its age is tolerable."""

    position: Array
    fresh: Array


def in_order(stamp_ns: Array) -> Ordered:
    """The strictly increasing part of a stream (N,), see Ordered."""
    stamp_ns = np.asarray(stamp_ns, np.int64)
    forward = stamp_ns >= np.maximum.accumulate(stamp_ns) if len(stamp_ns) else np.zeros(0, bool)
    kept = np.flatnonzero(forward)
    is_last_of_equals = np.append(stamp_ns[kept][1:] != stamp_ns[kept][:-1], True)[: len(kept)]
    position = kept[is_last_of_equals]
    return Ordered(position, stamp_ns[position], kept[~is_last_of_equals], np.flatnonzero(~forward))


def decimate(stamp_ns: Array, rate_hz: float) -> Array:
    """Indices (K,) of an increasing stream (N,) that lie nearest to a grid of `rate_hz` from its first stamp.

    A grid point without a frame within half a period gets none; a stream slower than the grid is returned whole.
    """
    if len(stamp_ns) == 0:
        return np.zeros(0, np.int64)
    period_ns = 1e9 / rate_hz
    offset_ns = (stamp_ns - stamp_ns[0]).astype(np.float64)
    if len(stamp_ns) < 2 or np.median(np.diff(offset_ns)) >= 0.95 * period_ns:
        return np.arange(len(stamp_ns))
    # the grid point each frame is nearest to; of the frames of one point the nearest wins (the earlier one on a tie)
    point = np.round(offset_ns / period_ns).astype(np.int64)
    distance_ns = np.abs(offset_ns - point * period_ns)
    by_point = np.lexsort((distance_ns, point))
    nearest = by_point[np.append(True, np.diff(point[by_point]) > 0)]
    # a frame that ends the stream, or follows a gap, may be nearest to a point it is far from: no two ticks at once
    return nearest[np.append(True, np.diff(stamp_ns[nearest]) >= _SHORTEST_PERIOD * period_ns)]


def latest_before(tick_ns: Array, stamp_ns: Array, tolerance_ns: float) -> Match:
    """For each tick (N,) the newest of an increasing stream (M,) with stamp <= tick; fresh: age <= tolerance_ns."""
    index = np.searchsorted(stamp_ns, tick_ns, side="right") - 1
    if len(stamp_ns) == 0:
        return Match(index, np.zeros(len(tick_ns), bool))
    age_ns = tick_ns - stamp_ns[np.maximum(index, 0)]
    return Match(index, (index >= 0) & (age_ns <= tolerance_ns))


def gaps(tick_ns: Array, limit_ns: float) -> Array:
    """Indices i (G,) where tick i + 1 follows tick i by more than `limit_ns`."""
    return np.flatnonzero(np.diff(tick_ns) > limit_ns)


def longest_run(tick_ns: Array, limit_ns: float) -> slice:
    """The longest piece of the ticks (N,) that no gap above `limit_ns` cuts; the first of equals; empty if N is 0."""
    edges = np.concatenate([[0], gaps(tick_ns, limit_ns) + 1, [len(tick_ns)]])
    longest = int(np.argmax(np.diff(edges)))
    return slice(int(edges[longest]), int(edges[longest + 1]))
