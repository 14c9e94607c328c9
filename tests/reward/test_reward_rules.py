"""Laws of hysteresis, rules and verdicts, on random streams."""

from __future__ import annotations

import math

import numpy as np
import pytest

from o2o_robot.errors import ConfigError
from o2o_robot.reward.judge import EpisodeJudge
from o2o_robot.reward.rules import Hysteresis, PoseRule, WrenchRule

MS = 1_000_000


def stream(rng: np.random.Generator, n: int = 200) -> list[tuple[int, float]]:
    """Scores that wander, with a NaN now and then, at 20 to 60 ms."""
    scores = np.clip(0.5 + np.cumsum(rng.normal(0, 0.15, n)), 0, 1)
    scores[rng.random(n) < 0.03] = math.nan
    return list(zip(np.cumsum(rng.integers(20, 60, n)) * MS, scores.tolist(), strict=True))


def test_a_verdict_turns_only_after_its_minimum_duration_beyond_the_right_threshold_without_a_break():
    rng, turns = np.random.default_rng(0), 0
    for _ in range(60):
        min_s = float(rng.choice([0.0, 0.1, 0.25]))
        rule, seen, was = Hysteresis(on=0.7, off=0.4, min_s=min_s), [], False
        for stamp_ns, score in stream(rng):
            seen.append((stamp_ns, score))
            now = rule.see(score, stamp_ns)
            if now != was:
                turns += 1
                inside = [s for t, s in seen if t >= stamp_ns - min_s * 1e9]
                assert all((s >= 0.7) if now else (s < 0.4) for s in inside)
                was = now
    assert turns > 100


def test_a_verdict_does_turn_once_the_duration_is_reached():
    rule = Hysteresis(on=0.7, off=0.4, min_s=0.2)
    said = [rule.see(0.9, k * 100 * MS) for k in range(4)]
    assert said == [False, False, True, True]
    assert [rule.see(0.1, (4 + k) * 100 * MS) for k in range(3)] == [True, True, False]


@pytest.mark.parametrize("between", [0.5, math.nan])
def test_a_value_between_the_thresholds_or_none_at_all_keeps_what_was_and_begins_the_count_anew(between):
    rule = Hysteresis(on=0.7, off=0.4, min_s=0.2)
    values = [0.9, 0.9, between, 0.9, 0.9]
    assert not any(rule.see(value, k * 100 * MS) for k, value in enumerate(values))
    assert rule.see(0.9, 500 * MS)
    assert rule.see(between, 600 * MS)


def test_what_lies_on_both_sides_of_a_gap_does_not_count_together():
    rule = Hysteresis(on=0.7, off=0.4, min_s=0.2, gap_s=1.0)
    assert not rule.see(0.9, 0)
    assert not rule.see(0.9, 5000 * MS)
    assert rule.see(0.9, 5200 * MS)


def test_a_stamp_that_is_not_newer_changes_nothing():
    rng = np.random.default_rng(1)
    once, twice = Hysteresis(on=0.7, off=0.4, min_s=0.1), Hysteresis(on=0.7, off=0.4, min_s=0.1)
    for stamp_ns, score in stream(rng):
        said = once.see(score, stamp_ns)
        assert twice.see(score, stamp_ns) == said
        assert twice.see(1 - score, stamp_ns - int(rng.integers(0, 100)) * MS) == said


def test_a_box_holds_its_faces_and_nothing_beyond_them():
    rng = np.random.default_rng(2)
    low, high = np.array([0.3, -0.1, 0.0]), np.array([0.5, 0.1, 0.2])
    rule = PoseRule(tuple(low), tuple(high))
    assert rule.score(low) == rule.score(high) == 1.0
    for p in rng.uniform(0, 0.6, (300, 3)):
        assert rule.score(p) == float(all(lo <= x <= hi for lo, x, hi in zip(low, p, high, strict=True)))
    assert math.isnan(rule.score(np.array([0.4, math.nan, 0.1])))


def test_a_push_counts_along_its_axis_only():
    along = WrenchRule(5.0, (0.0, 0.0, 2.0))
    assert along.score(np.array([30.0, 0.0, 5.0])) == 1.0
    assert along.score(np.array([30.0, 0.0, -5.0])) == 0.0
    assert along.score(np.array([30.0, 0.0, 4.9])) == 0.0
    anywhere = WrenchRule(5.0)
    assert [anywhere.score(np.array(f)) for f in ([3.0, 4.0, 0.0], [-3.0, -3.9, 0.0])] == [1.0, 0.0]
    assert math.isnan(anywhere.score(np.array([math.inf, 0.0, 0.0])))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Hysteresis(on=0.4, off=0.7), "lower off"),
        (lambda: Hysteresis(on=0.4, off=0.4, min_s=1.0), "min_s"),
        (lambda: PoseRule((0.0, 0.0, 0.0), (0.1, 0.0, 0.1)), "each low below high"),
        (lambda: PoseRule((0.0, 0.0), (0.1, 0.1)), "pose_low_m"),
        (lambda: WrenchRule(0.0), "wrench_min_n"),
        (lambda: WrenchRule(1.0, (0.0, 0.0, 0.0)), "wrench_axis"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_when_it_is_made(make, told):
    with pytest.raises(ConfigError, match=told):
        make()


def test_where_a_source_cannot_judge_there_is_no_task_state_and_no_failure():
    judge = EpisodeJudge(Hysteresis(on=0.7, off=0.4, min_s=0.1))
    for verdict in (judge.cannot(0, "the lens is covered"), judge.see(1, math.nan)):
        assert verdict.trouble
        assert (verdict.success, verdict.failure) == (False, False)
        assert judge.task_state(verdict) is None


def test_nothing_of_one_episode_is_carried_into_the_next():
    judge = EpisodeJudge(Hysteresis(on=0.7, off=0.4))
    assert judge.see(0, 0.9).success
    judge.begin()
    assert not judge.see(100 * MS, 0.5).success
    judge.say("failure")
    assert judge.see(200 * MS, 0.9).failure
    judge.begin()
    assert not judge.see(300 * MS, 0.5).failure


def test_a_persons_word_counts_more_than_the_score_and_is_rewarded_as_it_says():
    judge = EpisodeJudge(Hysteresis(on=0.7, off=0.4), success_reward=2.0, step_reward=-1.0)
    judge.say("success")
    task = judge.task_state(judge.see(0, 0.0))
    assert (task.success, task.reward) == (True, 2.0)
    judge.say("failure")
    task = judge.task_state(judge.see(1, 1.0))
    assert (task.success, task.failure, task.reward) == (False, True, -1.0)
