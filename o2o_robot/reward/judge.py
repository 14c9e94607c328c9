"""A reward source's scores to a verdict for the running episode; where it cannot judge it says so and gives none."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from o2o_robot.reward.rules import Hysteresis
from o2o_robot.types import TaskState


class Verdict(NamedTuple):
    """At one stamp. probability: of success, NaN where the source knows only yes and no, or cannot judge.

    trouble: why it cannot judge; then nothing else counts.
    """

    stamp_ns: int
    probability: float
    success: bool
    failure: bool = False
    trouble: str = ""


@dataclass
class EpisodeJudge:
    """One episode at a time.

    judge.begin()
    verdict = judge.see(stamp_ns, score)                      # or judge.cannot(stamp_ns, "the lens is covered")
    if (task := judge.task_state(verdict)) is not None: publish(task)

    is_probability: whether scores are calibrated, or just 0 and 1. A person's word (`say`) counts from the next score
    on, and more than the source's own.
    """

    hysteresis: Hysteresis
    is_probability: bool = True
    success_reward: float = 1.0
    step_reward: float = 0.0
    _said: str = field(init=False, default="")

    def begin(self) -> None:
        """A new episode: nothing is carried over from the last one."""
        self.hysteresis.reset()
        self._said = ""

    def say(self, outcome: str) -> None:
        """A person's "success" or "failure" for the episode that runs."""
        self._said = outcome

    def see(self, stamp_ns: int, score: float) -> Verdict:
        """The verdict at this score; one that is not finite cannot be judged."""
        if not math.isfinite(score):
            return self.cannot(stamp_ns, "the source gave a number that is not finite; look at what feeds it")
        is_success = self.hysteresis.see(score, stamp_ns)
        probability = score if self.is_probability else math.nan
        if self._said:
            return Verdict(stamp_ns, probability, self._said == "success", self._said == "failure")
        return Verdict(stamp_ns, probability, is_success)

    def cannot(self, stamp_ns: int, trouble: str) -> Verdict:
        """No verdict: what was seen before the trouble does not count towards the minimum duration."""
        self.hysteresis.see(math.nan, stamp_ns)
        return Verdict(stamp_ns, math.nan, False, trouble=trouble)

    def task_state(self, verdict: Verdict) -> TaskState | None:
        """For whoever runs the episode; None where it cannot judge: silence ends an episode as incomplete."""
        if verdict.trouble:
            return None
        reward = self.success_reward if verdict.success else self.step_reward
        return TaskState(verdict.stamp_ns, reward, verdict.success, verdict.failure)
