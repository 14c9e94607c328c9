"""Interventions counted, and the hint to intervene less: a rule for each reason, silent where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from o2o_robot.diagnostics.interventions import Hands, facts, hands, hint_of, rolling


def online(n: int, *, human: int = 0, times: int = 0, success: bool = True) -> list[Hands]:
    return [Hands("online", 20, human, times, success)] * n


def line(**changes: Any) -> dict[str, Any]:
    return {"mode": "online", "n_steps": 20, "steps_human": 5, "interventions": 2, "outcome": "success", **changes}


def test_only_whole_episodes_of_learning_count() -> None:
    kept = hands([line(), line(mode="warmup", outcome="failure")])
    assert [(e.mode, e.is_success, e.human_share) for e in kept] == [("online", True, 0.25), ("warmup", False, 0.25)]
    assert hands([line(mode="eval"), line(outcome="incomplete"), line(discarded=True), line(n_steps=0)]) == ()


def test_a_run_without_the_counts_is_one_in_which_nobody_intervened() -> None:
    (alone,) = hands([{"mode": "online", "n_steps": 20, "outcome": "failure"}])
    assert (alone.steps_human, alone.interventions) == (0, 0)
    assert hint_of([alone] * 60) is None


def test_the_rolling_mean_is_of_the_latest_values_alone() -> None:
    np.testing.assert_allclose(rolling([4.0, 2.0, 0.0, 0.0], window=2), [4.0, 3.0, 1.0, 0.0])
    assert len(rolling([])) == 0


def test_the_counts_are_of_online_episodes_first_and_last() -> None:
    run = [Hands("warmup", 20, 0, 0, False), *online(10, human=10, times=2), *online(10, human=0, times=0)]
    found = facts(run)
    assert found["interventions"] == 20
    assert (found["interventions_per_episode_first"], found["interventions_per_episode_last"]) == (2.0, 0.0)
    assert (found["steps_human"], found["human_share"], found["human_share_last"]) == (100, 0.25, 0.0)
    assert facts([Hands("warmup", 20, 0, 0, False)]) == {}


def test_successes_that_are_mostly_the_persons_ask_for_the_arm_back_sooner() -> None:
    hint = hint_of(online(20, human=14, times=1))
    assert hint is not None
    assert hint.rule == "too long"
    assert "70 % of the steps" in hint.words
    assert hint_of(online(20, human=9, times=1, success=False)) is None


def test_a_policy_that_succeeds_alone_and_is_taken_over_asks_for_patience() -> None:
    hint = hint_of(online(15) + online(15, human=2, times=1) + online(10))
    assert hint is not None
    assert (hint.rule, "alone the policy succeeded in 100 %" in hint.words) == ("not needed", True)


def test_help_that_does_not_fall_asks_for_earlier_and_briefer_corrections() -> None:
    hint = hint_of(online(50, human=2, times=1, success=False))
    assert hint is not None
    assert hint.rule == "not falling"


def test_help_that_falls_as_it_should_is_met_with_silence() -> None:
    assert hint_of(online(25, human=4, times=2, success=False) + online(25, human=1, times=0)) is None


@pytest.mark.parametrize("n", [1, 4])
def test_too_few_episodes_say_nothing(n: int) -> None:
    assert hint_of(online(n, human=20, times=3)) is None
