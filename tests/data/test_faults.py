"""What counts as a fault of a stream, and what only looks like one."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from o2o_robot.data.ingest.faults import clock_leaps, frozen, rate_changes

MS = 1_000_000
JUMP_NS = 500 * MS
NUMBERS = st.integers(0, 2**32 - 1)


def steady(n: int, period_ns: int = 33 * MS, start_ns: int = 10**15) -> np.ndarray:
    return start_ns + np.arange(n) * period_ns


@given(NUMBERS, st.integers(2, 120))
def test_no_latency_and_no_stall_of_the_receiver_is_a_leap_of_the_clock(seed, n):
    rng = np.random.default_rng(seed)
    stamp_ns = 10**15 + np.cumsum(rng.integers(1, 400 * MS, n))
    receipt_ns = np.maximum.accumulate(stamp_ns + rng.integers(0, 5000 * MS, n) * (rng.random(n) < 0.2))
    leaps = clock_leaps(stamp_ns, receipt_ns, JUMP_NS)
    assert not len(leaps.start)
    assert not len(leaps.outlier)


@given(st.integers(3, 50), st.integers(3, 50), st.integers(501, 10**7), st.booleans(), NUMBERS)
def test_a_clock_that_leaps_for_good_is_found_at_the_very_message(n_before, n_after, leap_ms, goes_back, seed):
    receipt_ns = steady(n_before + n_after)
    stamp_ns = receipt_ns - np.random.default_rng(seed).integers(0, 20 * MS, len(receipt_ns))
    # a step back is seen as such only by more than the period and the latency that hide it
    stamp_ns[n_before:] += (-(leap_ms + 60) if goes_back else leap_ms + 60) * MS
    leaps = clock_leaps(stamp_ns, receipt_ns, JUMP_NS)
    assert leaps.start.tolist() == [n_before]
    assert not len(leaps.outlier)


@given(st.integers(0, 60), st.integers(1, 2), st.integers(600, 10**9), NUMBERS)
def test_one_or_two_messages_of_another_clock_are_outliers_and_no_new_time_base(at, n_wild, leap_ms, seed):
    receipt_ns = steady(70)
    stamp_ns = receipt_ns - np.random.default_rng(seed).integers(0, 20 * MS, 70)
    stamp_ns[at : at + n_wild] += leap_ms * MS
    leaps = clock_leaps(stamp_ns, receipt_ns, JUMP_NS)
    assert not len(leaps.start)
    assert leaps.outlier.tolist() == list(range(at, at + n_wild))


def test_a_stream_and_its_receipts_that_go_back_together_have_a_new_time_base():
    stamp_ns = np.append(steady(20), steady(20) - 3600 * 10**9)
    assert clock_leaps(stamp_ns, stamp_ns + 2 * MS, JUMP_NS).start.tolist() == [20]


@given(NUMBERS, st.integers(-(10**18), 10**18))
def test_leaps_do_not_depend_on_what_time_it_is(seed, shift_ns):
    rng = np.random.default_rng(seed)
    receipt_ns = np.cumsum(rng.integers(1, 100, 60)) * 10 * MS
    stamp_ns = receipt_ns + np.cumsum(rng.integers(-3, 4, 60) * (rng.random(60) < 0.1)) * 10**9
    here, there = (clock_leaps(stamp_ns + by, receipt_ns + by, JUMP_NS) for by in (0, shift_ns))
    assert here.start.tolist() == there.start.tolist()
    assert here.outlier.tolist() == there.outlier.tolist()


@given(st.lists(st.tuples(st.integers(1, 300), st.booleans()), max_size=40))
def test_a_stretch_is_frozen_where_content_stays_the_same_for_longer_than_allowed(steps):
    stamp_ns = np.cumsum([step for step, _ in steps], dtype=np.int64)
    version = np.cumsum([is_new for _, is_new in steps], dtype=np.int64)
    stretches = frozen(stamp_ns, version, 500)
    for first, last in stretches:
        assert len(set(version[first : last + 1].tolist())) == 1
        assert stamp_ns[last] - stamp_ns[first] > 500
    for number in set(version.tolist()):
        of_it = np.flatnonzero(version == number)
        is_long = stamp_ns[of_it[-1]] - stamp_ns[of_it[0]] > 500
        assert is_long == any(first == of_it[0] and last == of_it[-1] for first, last in stretches)


@settings(max_examples=50)
@given(st.integers(110, 200), st.integers(110, 200), st.sampled_from([0.4, 0.5, 2.0, 3.0]), NUMBERS)
def test_a_change_of_rate_is_found_where_it_happened(n_before, n_after, factor, seed):
    period_ns = np.append(np.full(n_before, 30 * MS), np.full(n_after, int(30 * MS * factor)))
    period_ns += np.random.default_rng(seed).integers(-2 * MS, 2 * MS, len(period_ns))
    (at,) = rate_changes(np.append(0, np.cumsum(period_ns)), 1.5)
    assert at == n_before


@given(NUMBERS)
def test_jitter_gaps_and_a_short_spell_of_another_rate_change_no_rate(seed):
    rng = np.random.default_rng(seed)
    period_ns = rng.integers(20 * MS, 40 * MS, 400)
    period_ns[rng.integers(0, 400, 5)] = 2000 * MS
    period_ns[200:215] *= 3
    assert not len(rate_changes(np.append(0, np.cumsum(period_ns)), 1.5))
