"""The laws of alignment: never from the future, never too old, never out of order."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from o2o_robot.data.align import decimate, gaps, in_order, latest_before, longest_run

STAMPS = st.lists(st.integers(0, 10**12), max_size=60).map(lambda values: np.array(values, np.int64))
INCREASING = st.lists(st.integers(0, 10**12), max_size=60, unique=True).map(
    lambda values: np.array(sorted(values), np.int64)
)


@given(tick_ns=INCREASING, stamp_ns=INCREASING, tolerance_ns=st.integers(0, 10**11))
def test_a_fresh_match_is_never_from_the_future_never_too_old_and_nothing_newer_was_there(
    tick_ns, stamp_ns, tolerance_ns
):
    match = latest_before(tick_ns, stamp_ns, tolerance_ns)
    for tick, index, fresh in zip(tick_ns, match.position, match.fresh, strict=True):
        there = stamp_ns[stamp_ns <= tick]
        assert fresh == bool(len(there) and tick - there[-1] <= tolerance_ns)
        if fresh:
            assert stamp_ns[index] == there[-1]


@given(stamp_ns=STAMPS)
def test_what_stays_in_order_increases_strictly_and_every_message_is_accounted_for_once(stamp_ns):
    order = in_order(stamp_ns)
    assert (np.diff(order.stamp_ns) > 0).all()
    assert (stamp_ns[order.position] == order.stamp_ns).all()
    everyone = np.concatenate([order.position, order.duplicate, order.backward])
    assert sorted(everyone) == list(range(len(stamp_ns)))


@given(stamp_ns=STAMPS)
def test_a_stream_that_increases_strictly_loses_nothing(stamp_ns):
    increasing = np.unique(stamp_ns)
    assert (in_order(increasing).position == np.arange(len(increasing))).all()


def test_of_equal_stamps_the_last_received_stays():
    order = in_order(np.array([1, 2, 2, 3]))
    assert order.position.tolist() == [0, 2, 3]
    assert order.duplicate.tolist() == [1]


def test_a_message_older_than_one_already_received_is_passed_over():
    order = in_order(np.array([10, 20, 15, 30]))
    assert order.position.tolist() == [0, 1, 3]
    assert order.backward.tolist() == [2]


@given(stamp_ns=INCREASING, rate_hz=st.floats(0.01, 1000))
def test_ticks_are_frames_of_the_reference_in_order_none_twice_beginning_with_the_first(stamp_ns, rate_hz):
    ticks = decimate(stamp_ns, rate_hz)
    assert (np.diff(ticks) > 0).all()
    assert len(ticks) == 0 or (ticks[0] == 0 and ticks[-1] < len(stamp_ns))


@given(st.integers(2, 200), st.sampled_from([1, 2, 3, 4, 5, 6, 8, 10, 12]), st.integers(0, 2**32 - 1))
def test_a_jittering_stream_is_thinned_to_the_rate_without_drift(n_ticks, n_per_tick, seed):
    jitter_ns = np.random.default_rng(seed).integers(-(10**6), 10**6, n_ticks * n_per_tick)
    jitter_ns[0] = 0
    stamp_ns = np.arange(n_ticks * n_per_tick) * (120_000_000 // n_per_tick) + jitter_ns
    ticks = stamp_ns[decimate(stamp_ns, 1e9 / 120_000_000)]
    assert n_ticks <= len(ticks) <= n_ticks + 1  # the end of the stream may be nearest to a point beyond it
    assert (np.abs(ticks[:n_ticks] - np.arange(n_ticks) * 120_000_000) <= 10**6).all()


def test_a_stream_slower_than_the_rate_is_returned_whole():
    assert len(decimate(np.arange(50) * 200_000_000, 10.0)) == 50


@given(stamp_ns=INCREASING, limit_ns=st.integers(1, 10**11))
def test_the_longest_run_has_no_gap_and_no_other_piece_is_longer(stamp_ns, limit_ns):
    run = longest_run(stamp_ns, limit_ns)
    assert len(gaps(stamp_ns[run], limit_ns)) == 0
    pieces = np.split(stamp_ns, gaps(stamp_ns, limit_ns) + 1)
    assert run.stop - run.start == max(len(piece) for piece in pieces)
