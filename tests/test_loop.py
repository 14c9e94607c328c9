"""The episode's arithmetic: blocks, and how an episode ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from o2o_robot.errors import ConfigError
from o2o_robot.loop import LATE_IN_A_ROW, Block, EpisodeLog, parse_block, spoken
from o2o_robot.safety.reason import Reason
from o2o_robot.types import Executed, Mode, Observation, Outcome, Source, Step, TaskState, Termination

SEEN = Observation(1, {}, {})


def executed(reasons: int = 0) -> Executed:
    return Executed(1, 1, np.zeros(3, np.float32), np.zeros(3, np.float32), reasons)


def judged(*, success: bool = False, failure: bool = False) -> TaskState:
    return TaskState(2, float(success), success, failure)


def play(verdicts: list[TaskState], *, max_steps: int = 50, stopped_at: int = -1) -> tuple[EpisodeLog, list[Step]]:
    """Steps until the episode ends, then its last Step."""
    steps: list[Step] = []
    log = EpisodeLog("e", max_steps, steps.append)
    for index, verdict in enumerate(verdicts):
        log.add(SEEN, executed(), verdict, stopped=index == stopped_at)
        if log.ended:
            log.close(SEEN)
            break
    return log, steps


def test_a_time_limit_is_truncated_and_never_terminated():
    log, steps = play([judged()] * 9, max_steps=5)
    assert [step.truncated for step in steps] == [False] * 4 + [True, False]
    assert not any(step.terminated for step in steps)
    assert (log.termination, log.outcome) == (Termination.TIME_LIMIT, Outcome.FAILURE)


@pytest.mark.parametrize(
    ("end", "outcome"), [(judged(success=True), Outcome.SUCCESS), (judged(failure=True), Outcome.FAILURE)]
)
def test_what_the_task_decides_is_terminated_and_never_truncated_even_at_the_time_limit(end, outcome):
    log, steps = play([judged(), judged(), end], max_steps=3)
    assert [step.terminated for step in steps] == [False, False, True, False]
    assert not any(step.truncated for step in steps)
    assert (log.termination, log.outcome) == (Termination.TASK, outcome)


def test_a_stop_by_the_guard_is_truncated_and_leaves_the_outcome_open():
    log, steps = play([judged()] * 9, stopped_at=2)
    assert [step.truncated for step in steps] == [False, False, True, False]
    assert (log.termination, log.outcome) == (Termination.SAFETY, Outcome.INCOMPLETE)


def test_a_success_on_the_step_of_a_stop_counts_as_a_success():
    log, steps = play([judged(), judged(success=True)], stopped_at=1)
    assert (log.termination, log.outcome) == (Termination.TASK, Outcome.SUCCESS)
    assert not any(step.truncated for step in steps)


@settings(deadline=None)
@given(
    st.integers(1, 20), st.lists(st.sampled_from(["go", "win", "lose"]), min_size=20, max_size=20), st.integers(-1, 19)
)
def test_every_ended_episode_has_one_end_and_one_last_step(max_steps, story, stopped_at):
    verdicts = [judged(success=word == "win", failure=word == "lose") for word in story]
    log, steps = play(verdicts, max_steps=max_steps, stopped_at=stopped_at)
    assert log.ended
    assert sum(step.terminated + step.truncated for step in steps) == 1
    assert steps[-2].terminated or steps[-2].truncated
    assert [step.is_last for step in steps] == [False] * (len(steps) - 1) + [True]
    assert [step.index for step in steps] == list(range(log.n_steps + 1))
    assert log.reward_sum == sum(step.reward for step in steps)


def test_an_abandoned_episode_publishes_nothing_more_and_is_incomplete():
    steps: list[Step] = []
    log = EpisodeLog("e", 5, steps.append)
    log.add(SEEN, executed(), judged())
    log.abandon(Termination.FAULT)
    assert log.ended
    assert len(steps) == 1
    assert log.outcome is Outcome.INCOMPLETE


def test_only_steps_that_the_guard_changed_are_counted_as_changed():
    log = EpisodeLog("e", 5, lambda step: None)
    for reasons in (0, 2, 0, 4):
        log.add(SEEN, executed(reasons), judged())
    assert log.steps_changed == 2


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("eval episodes=20 first_seed=9000", Block(Mode.EVAL, episodes=20, first_seed=9000)),
        ("warmup steps=400", Block(Mode.WARMUP, steps=400)),
    ],
)
def test_a_schedule_in_words_is_the_block_it_says(text, block):
    assert parse_block(text) == block


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "demo"),
        ("evaluate episodes=3", "evaluate"),
        ("eval episode=3", "'episode=3'"),
        ("eval episodes=many", "'episodes=many'"),
        ("eval episodes=-1", "'episodes=-1'"),
        ("eval", "needs episodes or steps"),
        ("eval episodes=0", "needs episodes or steps"),
        ("online episodes=1 steps=2", "one of them"),
    ],
)
def test_a_wrong_schedule_names_the_word_that_is_wrong(text, named):
    with pytest.raises(ConfigError, match=named):
        parse_block(text)


def test_a_block_of_steps_goes_on_until_its_steps_are_reached_whatever_the_episodes():
    block = Block(Mode.WARMUP, steps=100)
    assert not block.done(episodes=1000, steps=99)
    assert block.done(episodes=1, steps=100)


def test_actions_that_come_too_late_again_and_again_end_the_episode_and_are_no_failure_of_the_policy():
    log = EpisodeLog("e", max_steps=50, publish=lambda _: None)
    late, heard = executed(int(Reason.STALE_COMMAND | Reason.HOLD)), executed()
    for answer in [*[late] * (LATE_IN_A_ROW - 1), heard, *[late] * (LATE_IN_A_ROW - 1)]:
        log.add(SEEN, answer, judged())
        assert not log.ended
    assert log.add(SEEN, late, judged()).truncated
    assert (log.termination, log.outcome) == (Termination.SAFETY, Outcome.INCOMPLETE)


# --- a person's hand, and a person's word ------------------------------------------------------------------------
def moved(*sources: Source, actor: Source = Source.POLICY) -> EpisodeLog:
    """An episode whose steps were executed by these."""
    log = EpisodeLog("e", 50, lambda step: None, actor)
    for source in sources:
        log.add(SEEN, Executed(1, 1, np.zeros(3), np.zeros(3), 0, source), judged())
    return log


P, T = Source.POLICY, Source.TELEOP


@pytest.mark.parametrize(
    ("sources", "steps", "takings"),
    [((P, P), 0, 0), ((P, T, T, P), 2, 1), ((T, P, T, P, T), 3, 3), ((T, T), 2, 1), ((P, Source.HOLD, T), 1, 1)],
)
def test_takings_over_are_counted_by_their_beginnings_and_human_steps_one_by_one(sources, steps, takings):
    log = moved(*sources)
    assert (log.steps_human, log.interventions) == (steps, takings)


def test_whoever_demonstrates_takes_nothing_over():
    log = moved(T, T, Source.HOLD, T, actor=T)
    assert (log.steps_human, log.interventions) == (3, 0)


@pytest.mark.parametrize(
    ("word", "terminated", "reward", "outcome", "why"),
    [
        ("success", True, 1.0, Outcome.SUCCESS, Termination.TASK),
        ("failure", True, 0.0, Outcome.FAILURE, Termination.TASK),
        ("incomplete", False, 0.0, Outcome.INCOMPLETE, Termination.OPERATOR),
        ("discard", False, 0.0, Outcome.INCOMPLETE, Termination.OPERATOR),
    ],
)
@pytest.mark.parametrize("was", [judged(), judged(success=True), judged(failure=True)])
def test_a_word_ends_the_episode_whatever_was_judged(word, terminated, reward, outcome, why, was):
    log = EpisodeLog("e", 50, lambda step: None)
    step = log.add(SEEN, executed(), was, word=word)
    assert (step.terminated, step.truncated, step.reward) == (terminated, not terminated, reward)
    assert (log.outcome, log.termination, log.is_discarded) == (outcome, why, word == "discard")


def test_a_success_keeps_the_reward_that_it_was_judged_with():
    assert spoken(TaskState(2, 5.0, True), "success").reward == 5.0
    assert spoken(TaskState(2, -1.0, False), "failure").reward == -1.0


def test_an_episode_is_whole_once_its_last_step_was_said_and_no_more_when_it_is_given_up():
    log, _ = play([judged()] * 9, max_steps=3)
    assert log.is_whole
    log.abandon(Termination.FAULT)
    assert not log.is_whole
