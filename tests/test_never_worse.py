"""The comparison with the pretrained policy: how often it rings falsely, and how soon rightly."""

from __future__ import annotations

import numpy as np
import pytest

from o2o_robot.errors import ConfigError
from o2o_robot.never_worse import Comparison, NeverWorse, Rate, Rule, Standing, p_less

RATES = (0.3, 0.5, 0.7, 0.9)
EPISODES = 500


def alarms_at(before: int, p_before: float, p_now: float, n_episodes: int, n_runs: int, seed: int) -> np.ndarray:
    """Episode (n_runs,) of the first alarm of each run, -1 for none."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n_runs):
        watch = NeverWorse(Rule(), Rate(int(rng.binomial(before, p_before)), before))
        outcomes = rng.random(n_episodes) < p_now
        rang = (i for i, success in enumerate(outcomes, 1) if watch.add(bool(success)).standing is Standing.WORSE)
        found.append(next(rang, -1))
    return np.array(found)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """The posterior of a pair of counts is asked for again and again."""
    from functools import lru_cache

    from o2o_robot import never_worse

    monkeypatch.setattr(never_worse, "p_less", lru_cache(maxsize=None)(never_worse.p_less))


@pytest.mark.parametrize("before", [10, 20, 80])
def test_an_equal_policy_rings_in_less_than_five_of_a_hundred_runs_of_500_episodes(before):
    shares = [float((alarms_at(before, p, p, EPISODES, 100, seed=7) > 0).mean()) for p in RATES]
    print(f"{before} episodes before, runs of {EPISODES} that ring, by rate: {dict(zip(RATES, shares, strict=True))}")
    assert np.mean(shares) < 0.03
    assert max(shares) < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 100)  # two standard errors of the simulation


def test_a_drop_from_80_to_30_percent_rings_within_some_twenty_episodes():
    at = alarms_at(40, 0.8, 0.3, 200, 200, seed=11)
    delays = np.where(at > 0, at, 10_000)
    print(f"drop 0.8 to 0.3, 40 before: median {np.median(delays):.0f} episodes, 90 % {np.quantile(delays, 0.9):.0f}")
    assert np.median(delays) <= 22
    assert np.quantile(delays, 0.9) <= 60


def test_a_policy_that_gets_better_never_rings():
    assert (alarms_at(20, 0.4, 0.9, 200, 50, seed=3) > 0).mean() == 0


def test_the_probability_is_that_of_two_beta_posteriors():
    rng = np.random.default_rng(0)
    for now, before, margin in [
        (Rate(3, 20), Rate(16, 20), 0.1),
        (Rate(9, 10), Rate(4, 8), 0.0),
        (Rate(0, 5), Rate(5, 5), 0.3),
    ]:
        drawn = [rng.beta(rate.successes + 0.5, rate.n - rate.successes + 0.5, 400_000) for rate in (now, before)]
        assert p_less(now, before, margin) == pytest.approx((drawn[0] < drawn[1] - margin).mean(), abs=3e-3)


def fed(watch: NeverWorse, outcomes: str) -> Comparison:
    """Successes are 's', anything else fails."""
    for outcome in outcomes:
        found = watch.add(outcome == "s")
    return found


def test_nothing_is_decided_before_a_window_is_full_or_without_a_baseline():
    assert fed(NeverWorse(Rule(), Rate(20, 20)), "f" * 19).standing is Standing.UNDECIDED
    assert fed(NeverWorse(Rule(), Rate(20, 20)), "f" * 20).standing is Standing.WORSE
    assert fed(NeverWorse(Rule(), Rate(7, 7)), "f" * 60).standing is Standing.UNDECIDED


def test_what_is_as_good_is_said_so_and_a_small_sample_of_it_is_not():
    assert fed(NeverWorse(Rule(), Rate(30, 40)), "s" * 20).standing is Standing.AS_GOOD
    assert fed(NeverWorse(Rule(), Rate(30, 40)), "s" * 19).standing is Standing.UNDECIDED


def test_after_going_back_the_latest_episodes_are_forgotten():
    watch = NeverWorse(Rule(), Rate(20, 20))
    fed(watch, "f" * 20)
    watch.restart()
    assert watch.comparison().now == Rate(0, 0)
    assert fed(watch, "f" * 19).standing is Standing.UNDECIDED


@pytest.mark.parametrize(
    "wrong", [{"margin": -0.1}, {"margin": 1.0}, {"windows": ()}, {"windows": (1,)}, {"sure": 0.4}, {"sure": 1.0}]
)
def test_a_rule_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Rule(**wrong)
