"""What the arm is moved for: an episode or a reset, whatever the order in which their events arrive."""

from __future__ import annotations

import itertools

from o2o_robot.safety.errands import Errand, Errands
from o2o_robot.safety.reason import NONE, Reason
from o2o_robot.types import Source

EVENTS = [(errand, starts) for errand in Errand for starts in (True, False)]


def test_an_end_that_comes_after_the_others_start_says_nothing():
    errands = Errands()
    assert errands.hear(Errand.EPISODE, starts=True)
    assert errands.hear(Errand.RESET, starts=True)
    assert not errands.hear(Errand.EPISODE, starts=False)
    assert errands.is_a_reset
    assert errands.hear(Errand.EPISODE, starts=True)
    assert not errands.hear(Errand.RESET, starts=False)
    assert not errands.is_a_reset


def test_the_arm_is_a_resets_exactly_while_the_last_start_was_one_and_its_end_has_not_come():
    for order in itertools.product(EVENTS, repeat=4):
        errands, expected = Errands(), False
        for errand, starts in order:
            errands.hear(errand, starts=starts)
            expected = errand is Errand.RESET if starts else expected and errand is not Errand.RESET
            assert errands.is_a_reset is expected, order


def test_every_start_counts_and_an_end_counts_where_nobody_has_the_arm():
    for before in EVENTS:
        errands = Errands()
        errands.hear(before[0], starts=before[1])
        assert errands.hear(Errand.RESET, starts=True)
    assert all(Errands().hear(errand, starts=False) for errand in Errand)


def test_during_a_reset_a_script_alone_proposes():
    errands = Errands()
    assert {errands.unfit(source) for source in Source} == {NONE}
    errands.hear(Errand.RESET, starts=True)
    refused = {source for source in Source if errands.unfit(source) == Reason.SHAPE | Reason.SOURCE}
    assert refused == set(Source) - {Source.SCRIPTED}
    assert errands.unfit(Source.SCRIPTED) == NONE
    errands.hear(Errand.RESET, starts=False)
    assert {errands.unfit(source) for source in Source} == {NONE}
