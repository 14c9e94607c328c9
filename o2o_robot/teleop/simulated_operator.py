"""A person at a device, played: watches a policy, takes the arm over when it goes wrong, and gives it back.

It looks once an observation and draws from the generator it is given, so the same run has the same person in it. How
such a person behaves is from HIL-SERL (Luo et al. 2024, arXiv:2410.21845, section 3 and the authors' guide): often at
first, at once when the policy is lost, in short corrections, and less and less as it succeeds by itself.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from o2o_robot.errors import ConfigError


class Does(enum.Enum):
    """What the person does at one look."""

    WATCH = "watch"
    STEER = "steer"
    ERR = "err"  # steers the wrong way, and does not know it yet


@dataclass(frozen=True)
class Manner:
    """How the person watches and takes over. Steps are looks: observations of the policy.

    patience_steps, progress_m: so many looks without coming so much nearer than ever are too many. off_course_m: nor
    may it be so much farther than it was. delay_steps: the mean of how late the hand is (Poisson); who gets nearer by
    then is left alone. hand_back: share of the way that is left, at which the arm is given back. max_steps: nor is it
    held longer. wrong_way: share of the takeovers that begin in the wrong direction, for wrong_steps.
    """

    patience_steps: int = 6
    progress_m: float = 0.006
    off_course_m: float = 0.04
    delay_steps: float = 2.0
    hand_back: float = 0.4
    max_steps: int = 15
    wrong_way: float = 0.1
    wrong_steps: int = 3

    def __post_init__(self) -> None:
        if min(self.patience_steps, self.max_steps) < 1 or min(self.delay_steps, self.wrong_steps) < 0:
            raise ConfigError(
                f"patience_steps={self.patience_steps} and max_steps={self.max_steps} must be >= 1, "
                f"delay_steps={self.delay_steps} and wrong_steps={self.wrong_steps} >= 0"
            )
        if not (self.progress_m > 0 and self.off_course_m > 0):
            raise ConfigError(f"progress_m={self.progress_m} and off_course_m={self.off_course_m} must be > 0 metres")
        if not (0 <= self.hand_back < 1 and 0 <= self.wrong_way <= 1):
            raise ConfigError(f"hand_back={self.hand_back} must be in [0, 1), wrong_way={self.wrong_way} in [0, 1]")


class SimulatedOperator:
    """Decides at each look, by how far the task is from its goal.

    operator.begin(np.random.default_rng([seed, 2]))
    does = operator.see(remaining_m)          # once an observation, in order
    """

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._best_m, self._idle_steps = np.inf, 0
        self._late_steps: int | None = None  # looks until the hand is there; None: it does not move
        self._held_steps: int | None = None  # looks since it took over; None: the policy has the arm
        self._gives_back_at_m, self._err_steps = 0.0, 0
        self.begin(np.random.default_rng(0))

    def begin(self, rng: np.random.Generator) -> None:
        """A new episode; its chance comes from `rng`."""
        self._rng = rng
        self.takeovers = 0
        self._watch_again(np.inf)

    def let_go(self) -> None:
        """The task is done: the arm is given back, and nobody is waited for."""
        self._watch_again(np.inf)

    def see(self, remaining_m: float) -> Does:
        """What the person does now, `remaining_m` metres from the goal. Raises ConfigError where that is no number."""
        if not np.isfinite(remaining_m):
            raise ConfigError(f"the way that remains is {remaining_m} m; the twin's truth must reach the device")
        if self._held_steps is None:
            self._watch(remaining_m)
        elif remaining_m <= self._gives_back_at_m or self._held_steps >= self._manner.max_steps:
            self._watch_again(remaining_m)
        return self._act()

    def _watch(self, remaining_m: float) -> None:
        manner = self._manner
        if remaining_m < self._best_m - manner.progress_m:
            self._best_m, self._idle_steps, self._late_steps = remaining_m, 0, None
            return
        self._idle_steps += 1
        is_lost = self._idle_steps >= manner.patience_steps or remaining_m > self._best_m + manner.off_course_m
        if self._late_steps is None and is_lost:
            self._late_steps = int(self._rng.poisson(manner.delay_steps))
        if self._late_steps == 0:
            self._take_over(remaining_m)
        elif self._late_steps is not None:
            self._late_steps -= 1

    def _take_over(self, remaining_m: float) -> None:
        self.takeovers += 1
        self._held_steps = 0
        self._gives_back_at_m = self._manner.hand_back * remaining_m
        self._err_steps = self._manner.wrong_steps if self._rng.random() < self._manner.wrong_way else 0

    def _watch_again(self, remaining_m: float) -> None:
        self._best_m, self._idle_steps = remaining_m, 0
        self._late_steps = self._held_steps = None
        self._gives_back_at_m, self._err_steps = 0.0, 0

    def _act(self) -> Does:
        if self._held_steps is None:
            return Does.WATCH
        self._held_steps += 1
        return Does.ERR if self._held_steps <= self._err_steps else Does.STEER


def word_on(is_success: bool, *, wrong: float, rng: np.random.Generator) -> str:
    """What the person says of an episode: success or failure, and on a share `wrong` of them the other one."""
    said = is_success != (rng.random() < wrong)
    return "success" if said else "failure"
