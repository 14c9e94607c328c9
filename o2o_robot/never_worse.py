"""Whether a policy that is being fine-tuned still succeeds as often as the one that came: a running comparison.

Successes of the pretrained policy and of the latest episodes are binomial; with Jeffreys' prior each rate has the
posterior Beta(k + 1/2, n - k + 1/2). The policy is worse where P(now < before - margin) exceeds `sure` in a window of
the latest episodes. Looking again after every episode makes a false alarm likelier than 1 - sure says, so `sure` is set
by simulation: over 500 episodes of an equal policy 1 to 4 % of runs ring, whatever its rate and with a baseline of 10
to 80 episodes (tests/test_never_worse.py prints and holds it). A bound that needs no simulation, such as a
time-uniform confidence sequence (Howard et al., Annals of Statistics 49 (2021) 1055), needs about 100 episodes where
this one needs 20: with twenty warm-up episodes it would speak after the session.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from o2o_robot.diagnostics.interval import Interval, wilson
from o2o_robot.errors import ConfigError
from o2o_robot.types import Array

_EDGES = np.linspace(0.0, 1.0, 1001)
_RATES = 0.5 * (_EDGES[1:] + _EDGES[:-1])


class Standing(enum.IntEnum):
    """As PolicyState.verdict has it."""

    UNDECIDED = 0
    AS_GOOD = 1
    WORSE = 2


class Rate(NamedTuple):
    """Successes of n episodes."""

    successes: int = 0
    n: int = 0

    @property
    def share(self) -> float:
        return self.successes / self.n if self.n else 0.0

    @property
    def interval(self) -> Interval:
        """Wilson's, 95 %."""
        return wilson(self.successes, self.n)


class _Episode(NamedTuple):
    name: str
    is_success: bool | None


class Comparison(NamedTuple):
    """What is known after an episode. p_worse: P(now < before - margin) of the window that `now` is."""

    standing: Standing
    before: Rate
    now: Rate
    p_worse: float


@dataclass(frozen=True)
class Rule:
    """When a policy counts as worse.

    margin: a loss of success smaller than this is none. windows: of how many latest episodes, each judged once it is
    full. min_before: episodes of the pretrained policy without which nothing is decided.
    """

    margin: float = 0.1
    windows: tuple[int, ...] = (20, 50)
    sure: float = 0.997
    min_before: int = 8

    def __post_init__(self) -> None:
        if not 0 <= self.margin < 1:
            raise ConfigError(f"margin must lie in [0, 1), got {self.margin}; 0.1 forgives a tenth of all episodes")
        if not self.windows or min(self.windows) < 2:
            raise ConfigError(f"windows must be episodes, each at least 2, got {self.windows}; (20, 50) is usual")
        if not 0.5 < self.sure < 1:
            raise ConfigError(f"sure must lie in (0.5, 1), got {self.sure}; 0.997 rings falsely in 1 to 4 % of runs")


class NeverWorse:
    """The comparison as episodes come in.

    watch = NeverWorse(Rule())
    watch.add_before(True)                  # each warm-up episode, or the counts of an evaluation of the same kind
    if watch.add(False).standing is Standing.WORSE:
        go_back(); watch.restart()
    watch.correct("online-000007", True)    # a person's late word on an episode that was added by that name
    """

    def __init__(self, rule: Rule, before: Rate = Rate()) -> None:  # noqa: B008  a NamedTuple does not change
        self.rule, self.before = rule, before
        self._latest: deque[_Episode] = deque(maxlen=max(rule.windows))
        self._before: dict[str, bool] = {}

    def add_before(self, is_success: bool, name: str = "") -> None:
        """An episode of the pretrained policy."""
        self.before = Rate(self.before.successes + is_success, self.before.n + 1)
        if name:
            self._before[name] = is_success

    def add(self, is_success: bool, name: str = "") -> Comparison:
        """An episode of the policy that learns."""
        self._latest.append(_Episode(name, is_success))
        return self.comparison()

    def correct(self, name: str, is_success: bool | None) -> None:
        """An episode ended otherwise than was said; None takes it out. One no longer looked at changes nothing."""
        if name in self._before:
            self.before = Rate(self.before.successes - self._before.pop(name), self.before.n - 1)
            if is_success is not None:
                self.add_before(is_success, name)
        others = [(one._replace(is_success=is_success) if one.name == name else one) for one in self._latest]
        self._latest = deque((one for one in others if one.is_success is not None), self._latest.maxlen)

    def restart(self) -> None:
        """Forget the latest episodes: other weights act from here on."""
        self._latest.clear()

    def comparison(self) -> Comparison:
        """Of the window that looks worst; of what there is, undecided, while none is full or too little was before."""
        latest = [bool(one.is_success) for one in self._latest]
        full = [Rate(sum(latest[-n:]), n) for n in self.rule.windows if n <= len(latest)]
        if not full or self.before.n < self.rule.min_before:
            return Comparison(Standing.UNDECIDED, self.before, Rate(sum(latest), len(latest)), float("nan"))
        p_worse, now = max((p_less(now, self.before, self.rule.margin), now) for now in full)
        return Comparison(self._standing(p_worse), self.before, now, p_worse)

    def _standing(self, p_worse: float) -> Standing:
        if p_worse > self.rule.sure:
            return Standing.WORSE
        return Standing.AS_GOOD if p_worse < 0.05 else Standing.UNDECIDED


def p_less(now: Rate, before: Rate, margin: float) -> float:
    """P(rate now < rate before - margin) under Jeffreys' priors, on a grid of 1000 rates (error below 1e-3)."""
    below = np.concatenate([[0.0], np.cumsum(_posterior(now))])
    return float(_posterior(before) @ np.interp(_RATES - margin, _EDGES, below, left=0.0))


@lru_cache(maxsize=4096)
def _posterior(rate: Rate) -> Array:
    """Probability (1000,) of each cell of rates: Beta(k + 1/2, n - k + 1/2)."""
    density = (rate.successes - 0.5) * np.log(_RATES) + (rate.n - rate.successes - 0.5) * np.log1p(-_RATES)
    weight = np.exp(density - density.max())
    return weight / weight.sum()
