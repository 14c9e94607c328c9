"""One reward transform for TD targets and Monte-Carlo returns, so that the Cal-QL bound has the units of Q.

Computing the bound from raw 0/1 rewards while Q learns r * scale + bias makes max(Q, bound) a constant and switches the
calibration off without a word. Here both sides take the same `RewardTransform`, and `require_same` refuses two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from o2o_robot import config
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.types import Array

Tail = Literal["zero", "stationary", "invalid"]


@dataclass(frozen=True)
class RewardTransform:
    """What the critic is asked to predict: the sum of (scale * reward + bias) * discount**t."""

    scale: float = 1.0
    bias: float = 0.0
    discount: float = 0.97

    def __post_init__(self) -> None:
        if not math.isfinite(self.scale) or self.scale == 0:
            raise ConfigError(f"reward scale must be finite and not 0, got {self.scale}; 1.0 keeps raw rewards")
        if not math.isfinite(self.bias):
            raise ConfigError(f"reward bias must be finite, got {self.bias}; -1.0 turns 0/1 rewards into -1/0")
        if not 0 <= self.discount < 1:
            raise ConfigError(f"discount must be in [0, 1), got {self.discount}; 0.97 suits 50 steps at 10 Hz")

    def apply(self, reward: Array) -> Array:
        """The transformed reward, of the shape given, float32."""
        return (np.asarray(reward, np.float64) * self.scale + self.bias).astype(np.float32)

    def bounds(self, reward_min: float, reward_max: float) -> tuple[float, float]:
        """The lowest and the highest return that raw rewards in [reward_min, reward_max] can make."""
        ends = [(r * self.scale + self.bias) / (1 - self.discount) for r in (reward_min, reward_max)]
        return min(*ends), max(*ends)

    def fingerprint(self) -> str:
        """A short hash, equal for equal transforms on any machine."""
        return config.fingerprint(self)


def require_same(ours: RewardTransform, theirs: RewardTransform, *, where: str) -> None:
    """Raises ConfigError where returns and TD targets would be computed from two different rewards."""
    if ours.fingerprint() != theirs.fingerprint():
        differences = ", ".join(f"{name} {a} here, {b} there" for name, (a, b) in config.changed(ours, theirs).items())
        raise ConfigError(f"{where}: two reward transforms ({differences}); build both sides from one RewardTransform")


def require_tail(tail: str) -> None:
    """Raises ConfigError where `tail` is not one that `mc_returns` knows."""
    if tail not in get_args(Tail):
        raise ConfigError(f"tail '{tail}' is unknown; allowed: {', '.join(get_args(Tail))}")


def mc_returns(
    reward_raw: Array, terminated: Array, truncated: Array, transform: RewardTransform, *, tail: Tail = "stationary"
) -> Array:
    """Discounted return-to-go of the transformed reward, (T,) float32, for each transition.

    reward_raw, terminated, truncated: (T,), one episode or several one after the other. A terminated episode gives the
    exact sum. One that was cut (truncated, or the rows just end) has a future that nobody saw; `tail` says what stands
    for it: "zero" nothing (too optimistic where rewards are negative), "stationary" its last transformed reward for
    ever, r / (1 - discount), so that a failure of constant reward is that constant throughout; "invalid" makes the
    whole episode -inf, which turns Cal-QL into CQL there. Cal-QL, arXiv:2303.05479, V^mu of eq. 4.1.
    """
    require_tail(tail)
    rewards = transform.apply(reward_raw)
    if not rewards.shape == np.shape(terminated) == np.shape(truncated) or rewards.ndim != 1:
        shapes = f"{rewards.shape}, {np.shape(terminated)}, {np.shape(truncated)}"
        raise DataError(f"reward, terminated, truncated have shapes {shapes}; they need one shape (T,)")
    returns = np.empty(len(rewards), np.float64)
    after = _after_cut(float(rewards[-1]), transform.discount, tail) if len(rewards) else 0.0
    for t in range(len(rewards) - 1, -1, -1):
        if terminated[t]:
            after = 0.0
        elif truncated[t]:
            after = _after_cut(float(rewards[t]), transform.discount, tail)
        # -inf stays -inf: with discount 0 the product would be NaN
        after = after if after == -math.inf else float(rewards[t]) + transform.discount * after
        returns[t] = after
    return returns.astype(np.float32)


def _after_cut(last_reward: float, discount: float, tail: Tail) -> float:
    """What stands for the rewards after the last row of an episode that was cut short."""
    return {"zero": 0.0, "stationary": last_reward / (1 - discount), "invalid": -math.inf}[tail]
