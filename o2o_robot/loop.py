"""The episode's arithmetic: what is run, when it stops, and what is counted. The nodes and the tests share it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from o2o_robot.errors import ConfigError
from o2o_robot.safety.reason import Reason
from o2o_robot.types import Executed, Mode, Observation, Outcome, Step, TaskState, Termination

LATE_IN_A_ROW = 10  # actions too old to be followed, before an episode is given up: the link is not fit to act through


@dataclass(frozen=True)
class Block:
    """A stretch of a session: episodes of one mode, until `episodes` are done or `steps` are reached.

    Scenes are drawn from `first_seed`, `first_seed + 1`, ...; blocks of a session must not share seeds.
    """

    mode: Mode
    episodes: int = 0
    steps: int = 0
    first_seed: int = 0

    def __post_init__(self) -> None:
        if (self.episodes > 0) == (self.steps > 0):
            got = f"got episodes={self.episodes} steps={self.steps}"
            raise ConfigError(f"block '{self.mode.value}' needs episodes or steps, one of them > 0, {got}")

    def done(self, episodes: int, steps: int) -> bool:
        return episodes >= self.episodes if self.episodes else steps >= self.steps


def parse_block(text: str) -> Block:
    """A Block from 'eval episodes=20 first_seed=9000'. Raises ConfigError naming the word that is wrong."""
    words = text.split()
    modes = [mode.value for mode in Mode]
    if not words or words[0] not in modes:
        raise ConfigError(
            f"schedule '{text}': it starts with one of {', '.join(modes)}; for example 'eval episodes=20 first_seed=9'"
        )
    numbers = {}
    for word in words[1:]:
        key, _, value = word.partition("=")
        if key not in ("episodes", "steps", "first_seed") or not value.isdigit():
            raise ConfigError(
                f"schedule '{text}': '{word}' is not episodes=N, steps=N or first_seed=N with a whole number N"
            )
        numbers[key] = int(value)
    return Block(Mode(words[0]), **numbers)


@dataclass
class EpisodeLog:
    """One episode as it happens: numbers the steps, decides the end, keeps outcome apart from the reason it stopped.

    log = EpisodeLog("eval-000000", max_steps=50, publish=recorder.add)
    for ...: log.add(observation, executed, judged_after)    # the judgement at the next observation
        if log.ended: log.close(final_observation)
    """

    episode: str
    max_steps: int
    publish: Callable[[Step], None]
    n_steps: int = 0
    reward_sum: float = 0.0
    outcome: Outcome = Outcome.INCOMPLETE
    termination: Termination | None = None
    steps_changed: int = 0
    late_in_a_row: int = 0

    @property
    def ended(self) -> bool:
        return self.termination is not None

    def add(
        self, observation: Observation, executed: Executed, judged_after: TaskState, *, stopped: bool = False
    ) -> Step:
        """Publish the transition that starts at `observation`. Success and failure terminate, the time limit truncates.

        stopped: the guard follows no command any more; that truncates too, and the task's outcome stays open. So do
        LATE_IN_A_ROW actions that came too late to be followed: the policy did not fail, it was not heard.
        """
        self.late_in_a_row = self.late_in_a_row + 1 if executed.reasons & Reason.STALE_COMMAND else 0
        stopped = stopped or self.late_in_a_row >= LATE_IN_A_ROW
        terminated = judged_after.success or judged_after.failure
        truncated = not terminated and (stopped or self.n_steps + 1 >= self.max_steps)
        step = Step(self.episode, self.n_steps, observation, executed, judged_after.reward, terminated, truncated)
        self.publish(step)
        self.n_steps += 1
        self.reward_sum += judged_after.reward
        self.steps_changed += executed.reasons != 0
        if terminated:
            self.termination = Termination.TASK
            self.outcome = Outcome.SUCCESS if judged_after.success else Outcome.FAILURE
        elif stopped:
            self.termination = Termination.SAFETY
        elif truncated:
            self.termination, self.outcome = Termination.TIME_LIMIT, Outcome.FAILURE
        return step

    def close(self, final: Observation) -> Step:
        """Publish the last Step, which holds the final observation only."""
        step = Step(self.episode, self.n_steps, final)
        self.publish(step)
        return step

    def abandon(self, why: Termination) -> None:
        """End an episode that will not be whole: nothing more is published, the outcome is incomplete."""
        self.termination, self.outcome = why, Outcome.INCOMPLETE
