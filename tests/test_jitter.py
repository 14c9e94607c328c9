"""How evenly periodic work comes: laws of the histogram and of the meter that fills it."""

from __future__ import annotations

import numpy as np
import pytest

from o2o_robot.jitter import EDGES_MS, Histogram, Jitter


@pytest.mark.parametrize("seed", range(20))
def test_a_quantile_is_never_below_the_true_one_nor_beyond_the_end_of_its_bin(seed):
    rng = np.random.default_rng(seed)
    durations_ms = rng.exponential(rng.uniform(0.05, 300.0), size=int(rng.integers(1, 400)))
    histogram = Histogram()
    for ms in durations_ms:
        histogram.add(float(ms))
    for share in (0.5, 0.9, 0.99, 1.0):
        true_ms = float(np.quantile(durations_ms, share, method="inverted_cdf"))
        ends = [edge_ms for edge_ms in EDGES_MS if edge_ms >= true_ms]
        assert true_ms <= histogram.quantile_ms(share) <= min([*ends[:1], histogram.max_ms])


def test_every_duration_is_in_one_bin_and_nothing_is_no_quantile():
    histogram = Histogram()
    assert (histogram.quantile_ms(0.99), histogram.max_ms, histogram.bins()) == (0.0, 0.0, "")
    for ms in (0.1, 0.11, 5000.0):
        histogram.add(ms)
    assert histogram.bins() == "<=0.1: 1, <=0.2: 1, >1000: 1"


def test_work_that_comes_on_time_has_no_jitter_and_one_late_round_counts_twice_its_delay():
    jitter = Jitter(0.01)
    for k in range(100):
        jitter.tick(k * 0.01 + (0.004 if k == 50 else 0.0))
    found = jitter.take()
    assert found.n == 99
    assert found.max_ms == pytest.approx(4.0)
    assert found.bins().endswith("<=5: 2")  # it came late, and the next then came early


def test_a_report_starts_anew_and_what_was_since_the_start_stays():
    jitter = Jitter(0.01)
    jitter.tick(0.0)
    jitter.tick(0.5)
    jitter.take()
    jitter.tick(0.51)
    assert jitter.take().max_ms == pytest.approx(0.0, abs=1e-9)
    assert jitter.whole.max_ms == pytest.approx(490.0)
    assert jitter.whole.n == 2
