"""The episode's arithmetic: what is run, when it stops, and what is counted. The nodes and the tests share it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from o2o_robot.data.relabel import Word
from o2o_robot.errors import ConfigError
from o2o_robot.safety.reason import Reason
from o2o_robot.types import Executed, Mode, Observation, Outcome, Source, Step, TaskState, Termination

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

    actor: who proposes. steps_human: steps that a person's hand executed. interventions: how often a person took over
    from an actor that is none; the first step of an episode counts too. is_whole: its last Step was said. labelled_by:
    the person whose word the outcome is; is_discarded: that word was that it counts nowhere.
    """

    episode: str
    max_steps: int
    publish: Callable[[Step], None]
    actor: Source = Source.POLICY
    n_steps: int = 0
    reward_sum: float = 0.0
    outcome: Outcome = Outcome.INCOMPLETE
    termination: Termination | None = None
    steps_changed: int = 0
    steps_human: int = 0
    interventions: int = 0
    is_whole: bool = False
    is_discarded: bool = False
    labelled_by: str = ""
    late_in_a_row: int = 0
    _is_human: bool = False

    @property
    def ended(self) -> bool:
        return self.termination is not None

    def add(
        self,
        observation: Observation,
        executed: Executed,
        judged_after: TaskState,
        *,
        stopped: bool = False,
        word: Word | None = None,
    ) -> Step:
        """Publish the transition that starts at `observation`. Success and failure terminate, the time limit truncates.

        stopped: the guard follows no command any more; that truncates too, and the task's outcome stays open. So do
        LATE_IN_A_ROW actions that came too late to be followed: the policy did not fail, it was not heard. word: of a
        person, which ends the episode here, whatever was judged.
        """
        judged = judged_after if word is None else spoken(judged_after, word)
        self.late_in_a_row = self.late_in_a_row + 1 if executed.reasons & Reason.STALE_COMMAND else 0
        stopped = stopped or self.late_in_a_row >= LATE_IN_A_ROW
        terminated = judged.success or judged.failure
        truncated = not terminated and (stopped or word is not None or self.n_steps + 1 >= self.max_steps)
        step = Step(self.episode, self.n_steps, observation, executed, judged.reward, terminated, truncated)
        self.publish(step)
        self.n_steps += 1
        self.reward_sum += judged.reward
        self.steps_changed += executed.reasons != 0
        self._count_hands(executed.source)
        if terminated:
            self.termination = Termination.TASK
            self.outcome = Outcome.SUCCESS if judged.success else Outcome.FAILURE
        elif word is not None:
            self.termination, self.is_discarded = Termination.OPERATOR, word == "discard"
        elif stopped:
            self.termination = Termination.SAFETY
        elif truncated:
            self.termination, self.outcome = Termination.TIME_LIMIT, Outcome.FAILURE
        return step

    def relabel(self, word: Word, *, by: str) -> None:
        """A person's word after its end: the outcome is another; steps were said and stay as they are."""
        self.labelled_by, self.is_discarded = by, word == "discard"
        self.outcome = Outcome(word) if word != "discard" else Outcome.INCOMPLETE

    def _count_hands(self, source: Source) -> None:
        is_human = source is Source.TELEOP
        self.steps_human += is_human
        self.interventions += is_human and not self._is_human and self.actor is not Source.TELEOP
        self._is_human = is_human

    def close(self, final: Observation) -> Step:
        """Publish the last Step, which holds the final observation only."""
        step = Step(self.episode, self.n_steps, final)
        self.publish(step)
        self.is_whole = True
        return step

    def abandon(self, why: Termination) -> None:
        """End an episode that will not be whole: nothing more is published, the outcome is incomplete."""
        self.termination, self.outcome, self.is_whole = why, Outcome.INCOMPLETE, False


def spoken(judged: TaskState, word: Word) -> TaskState:
    """What was judged, with a person's word in its place: raw reward 1 for a success, else none of a success's reward.

    A success that was judged too keeps the reward it has. Incomplete and discard judge nothing.
    """
    if word == "success":
        return judged if judged.success else replace(judged, reward=1.0, success=True, failure=False)
    reward = min(judged.reward, 0.0) if judged.success else judged.reward
    return replace(judged, reward=reward, success=False, failure=word == "failure")
