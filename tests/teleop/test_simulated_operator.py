"""The played person: when it takes over, how long it keeps the arm, how often it is wrong; all of it from its seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from o2o_robot.errors import ConfigError
from o2o_robot.teleop.simulated_operator import Does, Manner, SimulatedOperator, word_on

PROMPT = Manner(delay_steps=0.0, wrong_way=0.0)
STUCK = [0.2] * 40


def seen(manner: Manner, way_m: list[float], *, seed: int = 0) -> list[Does]:
    operator = SimulatedOperator(manner)
    operator.begin(np.random.default_rng(seed))
    return [operator.see(m) for m in way_m]


def test_a_policy_that_gets_nearer_is_left_alone() -> None:
    way = [0.3 - 0.01 * i for i in range(30)]
    assert set(seen(PROMPT, way)) == {Does.WATCH}


def test_a_policy_that_gets_nowhere_is_taken_over_once_patience_ends() -> None:
    found = seen(PROMPT, STUCK)
    assert found.index(Does.STEER) == PROMPT.patience_steps


def test_a_policy_off_its_course_is_taken_over_before_patience_ends() -> None:
    found = seen(PROMPT, [0.2, 0.2, 0.2 + PROMPT.off_course_m + 0.001, 0.3])
    assert found == [Does.WATCH, Does.WATCH, Does.STEER, Does.STEER]


def test_what_gets_nearer_before_the_late_hand_is_there_is_left_alone() -> None:
    late = Manner(delay_steps=2.0, wrong_way=0.0, patience_steps=3)
    stuck, nearer = [0.2] * 4, [0.2 - 0.01 * i for i in range(1, 4)]
    again = [nearer[-1]] * 2  # stuck anew, and not yet for long enough: a hand on its way from before would be there
    lates = [seed for seed in range(40) if np.random.default_rng(seed).poisson(2.0) in (1, 2)]
    assert len(lates) > 5
    for seed in lates:
        assert set(seen(late, stuck + nearer + again, seed=seed)) == {Does.WATCH}


def test_the_arm_is_given_back_once_the_share_of_the_way_is_gone() -> None:
    way = [0.2] * 7 + [0.18, 0.12, 0.081, 0.079, 0.07]
    found = seen(PROMPT, way)
    assert found[6:] == [Does.STEER, Does.STEER, Does.STEER, Does.STEER, Does.WATCH, Does.WATCH]


@given(
    way=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=80),
    manner=st.builds(Manner, st.integers(1, 9), delay_steps=st.floats(0, 4), max_steps=st.integers(1, 20)),
)
@settings(max_examples=80, deadline=None)
def test_the_arm_is_never_held_longer_than_asked(way: list[float], manner: Manner) -> None:
    held = longest = 0
    for does in seen(manner, way):
        held = 0 if does is Does.WATCH else held + 1
        longest = max(longest, held)
    assert longest <= manner.max_steps


def test_the_hand_is_late_by_the_mean_that_was_asked() -> None:
    manner = Manner(delay_steps=3.0, wrong_way=0.0)
    first = [seen(manner, STUCK, seed=s).index(Does.STEER) - manner.patience_steps for s in range(400)]
    assert np.mean(first) == pytest.approx(3.0, abs=0.3)


def test_the_share_of_takeovers_that_begin_wrong_is_the_one_asked() -> None:
    manner = Manner(delay_steps=0.0, wrong_way=0.25, wrong_steps=2)
    starts = [seen(manner, STUCK, seed=s)[manner.patience_steps :][:3] for s in range(400)]
    wrong = [each for each in starts if each[0] is Does.ERR]
    assert all(each == [Does.ERR, Does.ERR, Does.STEER] for each in wrong)
    assert len(wrong) / len(starts) == pytest.approx(0.25, abs=0.07)


def test_one_seed_is_one_person() -> None:
    manner = Manner(wrong_way=0.5)
    way = list(0.2 + 0.05 * np.sin(np.arange(120) / 9.0))
    assert seen(manner, way, seed=3) == seen(manner, way, seed=3)
    assert any(seen(manner, way, seed=3) != seen(manner, way, seed=s) for s in range(20))


def test_labels_are_wrong_as_often_as_asked_and_never_where_not() -> None:
    said = [word_on(s % 2 == 0, wrong=0.05, rng=np.random.default_rng([s, 14])) for s in range(4000)]
    wrong = np.mean([(word == "success") != (s % 2 == 0) for s, word in enumerate(said)])
    assert wrong == pytest.approx(0.05, abs=0.012)
    assert word_on(True, wrong=0.0, rng=np.random.default_rng(0)) == "success"
    assert word_on(False, wrong=0.0, rng=np.random.default_rng(0)) == "failure"


def test_a_way_that_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigError, match="truth must reach"):
        seen(PROMPT, [float("nan")])


@pytest.mark.parametrize(
    "wrong", [{"patience_steps": 0}, {"hand_back": 1.0}, {"wrong_way": 1.1}, {"progress_m": 0.0}, {"delay_steps": -1.0}]
)
def test_an_impossible_person_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Manner(**wrong)  # type: ignore[arg-type]
