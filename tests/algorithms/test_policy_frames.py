"""A policy that looks at several frames: which ones, in which order, and none of the episode before."""

from __future__ import annotations

import numpy as np
import torch
from learners import SPEC, learner, observation, small

from o2o_robot.policy import FrameStack, Policy
from o2o_robot.presets import wsrl


def _policy() -> Policy:
    trained = learner(small(wsrl(), frame_stack=2))
    policy = Policy(trained.config, SPEC, 3)
    policy.load_state_dict(trained.networks.state_dict(), strict=False)
    return policy


def _frame(value: int) -> np.ndarray:
    return np.full((1, 2, 2, 3), value, np.uint8)


def _values(stack: dict[str, torch.Tensor]) -> list[int]:
    return stack["wrist"][0, 0, 0, ::3].tolist()


def test_a_stack_is_the_last_k_frames_the_oldest_first_and_the_first_repeats() -> None:
    stack = FrameStack(("wrist",), 3)
    assert _values(stack.add({"wrist": _frame(1)})) == [1, 1, 1]
    assert _values(stack.add({"wrist": _frame(2)})) == [1, 1, 2]
    assert _values(stack.add({"wrist": _frame(3)})) == [1, 2, 3]
    assert _values(stack.add({"wrist": _frame(4)})) == [2, 3, 4]
    stack.clear()
    assert _values(stack.add({"wrist": _frame(9)})) == [9, 9, 9]


def test_an_episode_begins_without_the_frames_of_the_one_before() -> None:
    policy, fresh = _policy(), _policy()
    policy.begin_episode()
    policy.act(observation(seed=1))
    policy.begin_episode()
    fresh.begin_episode()
    assert np.array_equal(policy.act(observation(seed=2)), fresh.act(observation(seed=2)))


def test_what_was_seen_a_step_ago_counts() -> None:
    policy, other = _policy(), _policy()
    for each, seed in ((policy, 1), (other, 3)):
        each.begin_episode()
        each.act(observation(seed=seed))
    assert not np.array_equal(policy.act(observation(seed=2)), other.act(observation(seed=2)))
