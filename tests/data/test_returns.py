"""T6: Monte-Carlo returns in the units of the TD target."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from o2o_robot.data.returns import RewardTransform, mc_returns, require_same
from o2o_robot.errors import ConfigError, DataError

PLAIN = RewardTransform(scale=1.0, bias=0.0, discount=0.9)
MINUS_ONE = RewardTransform(scale=1.0, bias=-1.0, discount=0.9)
TRANSFORMS = st.builds(RewardTransform, scale=st.floats(0.1, 10), bias=st.floats(-5, 5), discount=st.floats(0, 0.99))


def ends(n: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    last = np.arange(n) == n - 1
    return last & (kind == "terminated"), last & (kind == "truncated")


def returns_of(rewards, kind, transform=PLAIN, tail="stationary"):
    return mc_returns(np.array(rewards, np.float32), *ends(len(rewards), kind), transform, tail=tail)


def test_a_terminated_episode_gets_the_exact_discounted_sum():
    np.testing.assert_allclose(returns_of([-1, -1, 0], "terminated"), [-1.9, -1, 0], atol=1e-6)


def test_a_failure_that_ran_out_of_time_is_the_constant_of_failing_for_ever():
    np.testing.assert_allclose(returns_of([-1, -1], "truncated"), [-10, -10], atol=1e-5)


def test_a_zero_tail_stops_at_the_cut():
    np.testing.assert_allclose(returns_of([-1, -1], "truncated", tail="zero"), [-1.9, -1], atol=1e-6)


def test_an_invalid_tail_leaves_no_bound_for_the_whole_cut_episode():
    assert (returns_of([-1, -1, -1], "truncated", tail="invalid") == -np.inf).all()
    assert (returns_of([0, 0], "truncated", RewardTransform(discount=0.0), tail="invalid") == -np.inf).all()


@pytest.mark.parametrize("tail", ["zero", "stationary", "invalid"])
def test_the_tail_never_touches_a_terminated_episode(tail):
    np.testing.assert_allclose(returns_of([0, 0, 1], "terminated", tail=tail), [0.81, 0.9, 1.0], atol=1e-6)


def test_raw_zero_rewards_with_bias_minus_one_fail_at_bias_over_one_minus_discount():
    # The reference code computed these from raw rewards: 0 instead of -10, and its bound was always active.
    np.testing.assert_allclose(returns_of([0, 0, 0], "truncated", MINUS_ONE), [-10] * 3, atol=1e-5)
    np.testing.assert_allclose(returns_of([0, 0, 1], "terminated", MINUS_ONE), [-1.9, -1, 0], atol=1e-6)


def test_rows_that_just_end_count_as_cut():
    np.testing.assert_allclose(returns_of([-1, -1], "open"), returns_of([-1, -1], "truncated"))


def test_nothing_leaks_over_the_boundary_of_two_episodes():
    first, second = np.float32([0, 1]), np.float32([0, 0, 0])
    joined = mc_returns(
        np.concatenate([first, second]), np.array([0, 1, 0, 0, 0], bool), np.array([0, 0, 0, 0, 1], bool), MINUS_ONE
    )
    apart = np.concatenate([returns_of(first, "terminated", MINUS_ONE), returns_of(second, "truncated", MINUS_ONE)])
    np.testing.assert_array_equal(joined, apart)


@given(
    rewards=st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=30),
    kind=st.sampled_from(["terminated", "truncated"]),
    transform=TRANSFORMS,
)
def test_returns_obey_the_bellman_recursion_on_transformed_rewards(rewards, kind, transform):
    found = returns_of(rewards, kind, transform).astype(np.float64)
    reward = np.asarray(transform.apply(np.float32(rewards)), np.float64)
    after = np.append(found[1:], 0.0 if kind == "terminated" else reward[-1] / (1 - transform.discount))
    np.testing.assert_allclose(found, reward + transform.discount * after, rtol=1e-4, atol=1e-3)


@given(rewards=st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60), transform=TRANSFORMS)
def test_stationary_returns_stay_within_what_the_critic_can_reach(rewards, transform):
    low, high = transform.bounds(0.0, 1.0)
    found = returns_of(rewards, "truncated", transform)
    assert found.min() >= low - 1e-3 * (1 + abs(low))
    assert found.max() <= high + 1e-3 * (1 + abs(high))


def test_two_different_transforms_are_refused_by_name():
    require_same(MINUS_ONE, RewardTransform(1.0, -1.0, 0.9), where="test")
    with pytest.raises(ConfigError, match=r"bias 0\.0 here, -1\.0 there"):
        require_same(PLAIN, MINUS_ONE, where="test")


@pytest.mark.parametrize("bad", [{"discount": 1.0}, {"scale": 0.0}, {"bias": float("nan")}, {"discount": -0.1}])
def test_an_impossible_transform_fails_when_it_is_built(bad):
    with pytest.raises(ConfigError):
        RewardTransform(**bad)


def test_an_unknown_tail_and_unequal_lengths_are_refused():
    with pytest.raises(ConfigError, match="allowed: zero"):
        returns_of([0], "truncated", tail="bootstrap")
    with pytest.raises(DataError, match="one shape"):
        mc_returns(np.zeros(3), np.zeros(2, bool), np.zeros(3, bool), PLAIN)
