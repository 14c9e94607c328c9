"""In lockstep an answer depends on what was said, not on which message was faster."""

from __future__ import annotations

import itertools

import numpy as np

from o2o_robot.safety.lockstep_turn import LockstepTurn
from o2o_robot.safety.reason import NONE
from o2o_robot.types import Action, Source


def an_action(stamp_ns: int, source: Source = Source.POLICY) -> Action:
    return Action(stamp_ns, stamp_ns, np.zeros(3, np.float32), source)


def what_is_judged(order: tuple[str, ...], *, awaits_device: bool) -> list[str]:
    """What is heard and judged, where action, word and state of one instant come in this order."""
    turn, state_ns, done = LockstepTurn(awaits_device=awaits_device), 100, list[str]()
    for kind in order:
        if kind == "action":
            turn.propose(an_action(200))
        elif kind == "word":
            turn.tell(an_action(200, Source.TELEOP), NONE)
        else:
            state_ns = 200
        done += ["word" for _ in turn.words(state_ns)]
        done += ["action"] if turn.proposal(state_ns) is not None else []
    return done


def test_the_device_is_heard_before_the_proposal_is_judged_in_whatever_order_they_come() -> None:
    for order in itertools.permutations(("action", "word", "state")):
        assert what_is_judged(order, awaits_device=True) == ["word", "action"], order


def test_a_proposal_waits_for_the_device_only_where_it_is_awaited() -> None:
    assert what_is_judged(("state", "action"), awaits_device=True) == []
    assert what_is_judged(("state", "action"), awaits_device=False) == ["action"]


def test_a_proposal_waits_for_the_state_that_it_answers() -> None:
    assert what_is_judged(("action",), awaits_device=False) == []
    assert what_is_judged(("action", "state"), awaits_device=False) == ["action"]
    assert what_is_judged(("action", "word"), awaits_device=True) == []


def test_the_word_on_the_observation_before_is_none_on_this_one() -> None:
    turn = LockstepTurn(awaits_device=True)
    turn.tell(an_action(100, Source.TELEOP), NONE)
    turn.propose(an_action(200))
    assert len(list(turn.words(200))) == 1
    assert turn.proposal(200) is None


def test_a_proposal_and_a_word_are_given_out_once() -> None:
    turn = LockstepTurn(awaits_device=True)
    turn.tell(an_action(100, Source.TELEOP), NONE)
    turn.propose(an_action(100))
    assert len(list(turn.words(100))) == 1
    assert turn.proposal(100) is not None
    assert not list(turn.words(100))
    assert turn.proposal(100) is None
