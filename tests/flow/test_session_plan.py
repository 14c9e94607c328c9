"""What a block runs next: its own seeds in order, and rounds of evaluation between on scenes that stay the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from o2o_robot.errors import ConfigError
from o2o_robot.flow.plan import Done, Due, Evaluations, done, due
from o2o_robot.loop import Block
from o2o_robot.types import Mode

ONLINE = Block(Mode.ONLINE, steps=60, first_seed=100)
HELD_OUT = Evaluations(every=3, episodes=2, first_seed=9000)


def line(told: Due, **facts: Any) -> dict[str, Any]:
    blank = {"outcome": "failure", "termination": "time_limit", "n_steps": 5}
    return {"mode": told.mode.value, "seed": told.seed, **blank, **facts}


def run(block: Block, evaluations: Evaluations, lines: list[dict[str, Any]]) -> Iterator[Due]:
    """The episodes of a block to its end, each whole; `lines` grows with them."""
    while (told := due(block, lines, evaluations)) is not None:
        yield told
        lines.append(line(told))


def test_without_evaluations_a_block_runs_its_own_seeds_in_order():
    seeds = [told.seed for told in run(ONLINE, Evaluations(), [])]
    assert seeds == list(range(100, 112))


def test_a_round_comes_first_and_after_every_third_episode_and_always_on_the_same_scenes():
    lines: list[dict[str, Any]] = []
    told = list(run(ONLINE, HELD_OUT, lines))
    modes = "".join("e" if one.mode is Mode.EVAL else "o" for one in told)
    assert modes == "ee" + "oooee" * 3 + "ooo"
    assert [one.seed for one in told if one.mode is Mode.EVAL] == [9000, 9001] * 4
    assert [one.seed for one in told if one.mode is Mode.ONLINE] == list(range(100, 112))
    assert done(ONLINE, lines) == Done(episodes=12, steps=60, successes=0, evaluated=8)


@pytest.mark.parametrize("mode", [Mode.WARMUP, Mode.EVAL, Mode.DEMO])
def test_only_online_blocks_are_interleaved(mode):
    block = Block(mode, episodes=5)
    assert {told.mode for told in run(block, HELD_OUT, [])} == {mode}


@settings(deadline=None)  # of a busy machine nothing is asked
@given(st.integers(0, 19), st.sampled_from(["cut short", "discarded"]))
def test_an_episode_that_does_not_count_is_run_again_with_its_seed(at, how):
    whole = list(run(ONLINE, HELD_OUT, []))
    lines = [line(told) for told in whole[: at + 1]]
    lost = whole[at]
    lines[at] |= {"termination": "fault"} if how == "cut short" else {"discarded": True}
    lines[at]["n_steps"] = 0
    assert due(ONLINE, lines, HELD_OUT) == lost


@settings(deadline=None)  # of a busy machine nothing is asked
@given(st.integers(0, 19))
def test_a_run_taken_up_again_goes_on_as_though_it_had_never_stopped(at):
    whole = list(run(ONLINE, HELD_OUT, []))
    lines = [line(told) for told in whole[:at]]
    assert list(run(ONLINE, HELD_OUT, lines)) == whole[at:]


def test_an_episode_that_a_person_ended_counts_and_one_that_the_session_cut_short_does_not():
    first = Due(Mode.ONLINE, 100)
    ended = line(first, termination="operator", outcome="incomplete")
    assert done(ONLINE, [ended]).episodes == 0
    assert done(ONLINE, [{**ended, "labelled_by": "kim"}]).episodes == 1


@pytest.mark.parametrize("wrong", [{"every": -1}, {"episodes": 0}])
def test_a_schedule_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match="eval_every"):
        Evaluations(**wrong)
