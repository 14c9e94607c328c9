"""What a soak run is judged by: growth that is one, stops that have a cause, steps that are there."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("psutil")
from soaking.verdict import CAUSE_S, Moment, Sample, growths, lost_steps, unexplained

MB = 2**20


def watched(*, leak_mb_s: float = 0.0, until_s: float = 3600.0, noise_mb: float = 2.0, seed: int = 0) -> list[Sample]:
    """A process that takes 300 MB in its first minutes, and then what it leaks."""
    rng = np.random.default_rng(seed)
    times_s = np.arange(0.0, until_s, 10.0)
    base = 100 + 200 * np.minimum(1.0, times_s / 300)
    rss = base + leak_mb_s * times_s + rng.normal(0, noise_mb, len(times_s))
    return [Sample(float(t), "node", 1, int(size * MB)) for t, size in zip(times_s, rss, strict=True)]


def test_a_process_that_only_grows_while_it_starts_is_flat():
    (growth,) = growths(watched())
    assert growth.is_flat
    assert abs(growth.share) < 0.01


@pytest.mark.parametrize("seed", range(5))
def test_a_leak_of_a_tenth_in_an_hour_is_found_through_noise_and_bursts(seed):
    samples = watched(leak_mb_s=30 / 3000, noise_mb=10.0, seed=seed)
    bursts = [s._replace(rss=2 * s.rss) if i % 17 == 0 else s for i, s in enumerate(samples)]
    (growth,) = growths(bursts)
    assert not growth.is_flat
    assert growth.share == pytest.approx(0.1, abs=0.03)


def test_a_process_too_young_to_tell_is_not_judged_and_a_new_process_is_judged_apart():
    assert growths(watched(until_s=700.0)) == []
    again = [sample._replace(t_s=sample.t_s + 5000, pid=2) for sample in watched()]
    assert [growth.pid for growth in growths(watched() + again)] == [1, 2]


def test_a_stop_is_explained_by_trouble_shortly_before_it_and_by_none_after():
    made = [Moment(100.0, "kill learner_node")]
    stops = [Moment(99.0, "a"), Moment(100.0, "b"), Moment(100.0 + CAUSE_S, "c"), Moment(101.0 + CAUSE_S, "d")]
    assert [stop.what for stop in unexplained(stops, made)] == ["a", "d"]


def test_steps_of_whole_episodes_must_be_stored_and_of_abandoned_ones_need_not():
    told = [
        {"id": "a", "n_steps": 50, "termination": "time_limit"},
        {"id": "b", "n_steps": 7, "termination": "task"},
        {"id": "c", "n_steps": 3, "termination": "fault"},
    ]
    assert lost_steps(told, {"a": 50, "b": 7}) == {}
    assert lost_steps(told, {"a": 49}) == {"a": 1, "b": 7}
