"""When a hand holds the arm and when it has let go, and what its buttons say."""

from dataclasses import replace

import numpy as np
import pytest
from virtual_devices import moment

from o2o_robot.errors import ConfigError
from o2o_robot.teleop.axes import AxisRules
from o2o_robot.teleop.device import Reading
from o2o_robot.teleop.hand import Buttons, Hand, HandRules, Operator

PLAIN = AxisRules(deadband=0.1, expo=0.0)
PUSH = np.array([0.0, 0.6, 0, 0, 0, 0])
TOOL = (0.5, 0.0, 0.3)


def operator(buttons: Buttons | None = None, *, axes: AxisRules = PLAIN, n_action: int = 3) -> Operator:
    return Operator(axes, buttons or Buttons(), HandRules(release_s=0.5, stale_s=0.3), n_action=n_action)


def see(who: Operator, now_s: float, axes: np.ndarray | None = None, *pressed: str, **more: object) -> Hand:
    reading = Reading(now_s, np.zeros(6) if axes is None else axes, buttons=frozenset(pressed), **more)
    return who.see(reading, moment(now_s, TOOL))


def test_a_deflection_takes_the_arm_and_its_values_are_an_action():
    hand = see(operator(), 0.0, PUSH)
    assert hand.is_held
    assert hand.values.dtype == np.float32
    np.testing.assert_allclose(hand.values, [0.0, (0.6 - 0.1) / 0.9, 0.0], rtol=1e-6)


def test_a_hand_that_rests_within_the_deadband_never_takes_the_arm():
    who = operator()
    assert not any(see(who, t, 0.09 * np.eye(6)[0]).is_held for t in np.linspace(0, 3, 100))


def test_a_pause_keeps_the_arm_still_and_a_longer_one_releases_it_once():
    who = operator()
    see(who, 0.0, PUSH)
    times = np.arange(0.03, 2.0, 0.03)
    hands = [see(who, t) for t in times]
    held = np.array([hand.is_held for hand in hands])
    assert held[times <= 0.5].all()
    assert not held[times > 0.5].any()
    assert all(not hand.values.any() for hand in hands)


def test_with_a_deadman_button_the_arm_follows_while_it_is_held_and_only_then():
    who = operator(Buttons(deadman="rb"))
    assert not see(who, 0.0, PUSH).is_held
    assert see(who, 0.1, None, "rb").is_held
    assert see(who, 0.2, PUSH, "rb").values.any()
    assert not see(who, 0.21, PUSH).is_held, "at once, and not after release_s"


def test_what_a_device_says_of_the_hand_counts_more_than_its_deflection():
    assert not see(operator(), 0.0, PUSH, is_held=False).is_held
    assert see(operator(), 0.0, is_held=True).is_held


@pytest.mark.parametrize("gone", ["silent", "unplugged"])
def test_a_device_that_is_silent_or_gone_has_released(gone):
    who = operator(Buttons(deadman="rb", success="y"))
    old = Reading(0.0, PUSH, buttons=frozenset({"rb"}))
    assert who.see(old, moment(0.3)).is_held
    hand = who.see(old if gone == "silent" else None, moment(0.31))
    assert not hand.is_held
    assert hand.deeds == ()


def test_a_device_that_comes_back_pushed_takes_the_arm_again_but_not_by_the_old_push():
    who = operator()
    see(who, 0.0, PUSH)
    who.see(None, moment(0.1))
    assert not see(who, 0.2).is_held, "the pause belongs to a push from before it was gone"
    assert see(who, 0.3, PUSH).is_held


def test_a_button_says_its_word_once_however_long_it_is_held():
    who = operator(Buttons(success="y", estop="b"))
    told = [see(who, t, None, *pressed).deeds for t, pressed in enumerate(["", "y", "y", "yb", "", "y"])]
    assert told == [(), ("success",), (), ("estop",), (), ("success",)]


def test_words_are_heard_of_a_hand_that_does_not_hold_the_arm():
    hand = see(operator(Buttons(deadman="rb", discard="back")), 0.0, PUSH, "back")
    assert hand.deeds == ("discard",)
    assert not hand.is_held


def gripped(who: Operator, *presses: str, gripper_m: float = 0.08) -> list[float]:
    """The gripper's value at each look, a hand on the device all the while."""
    out = []
    for t, pressed in enumerate(presses):
        reading = Reading(float(t), buttons=frozenset(pressed), is_held=True)
        out.append(float(who.see(reading, moment(float(t), TOOL, gripper_m=gripper_m)).values[3]))
    return out


def test_the_grip_button_closes_an_open_gripper_and_opens_a_closed_one_and_is_left_alone_before():
    buttons = Buttons(grip="g")
    assert gripped(operator(buttons, n_action=4), "", "g", "", "g", "g") == [0.0, -1.0, -1.0, 1.0, 1.0]
    assert gripped(operator(buttons, n_action=4), "g", gripper_m=0.01) == [1.0]


def test_two_buttons_close_and_open():
    assert gripped(operator(Buttons(close="c", open="o"), n_action=4), "c", "", "o", "") == [-1.0, -1.0, 1.0, 1.0]


def test_after_a_release_the_gripper_is_left_as_it_is():
    who = operator(Buttons(grip="g"), n_action=4)
    assert gripped(who, "g") == [-1.0]
    see(who, 1.0, is_held=False)
    assert gripped(who, "") == [0.0]


def test_an_action_without_a_gripper_has_no_fourth_value():
    assert see(operator(Buttons(grip="g")), 0.0, PUSH, "g").values.shape == (3,)


def test_a_hand_in_the_tools_frame_is_released_while_nobody_says_how_the_tool_is_turned():
    who = operator(axes=replace(PLAIN, frame="tool"))
    assert not who.see(Reading(0.0, PUSH), moment(0.0)).is_held
    turned = who.see(Reading(0.0, PUSH), moment(0.0, TOOL)).values
    np.testing.assert_allclose(turned, see(operator(), 0.0, PUSH).values * [1, -1, -1], atol=1e-6)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Buttons(grip="a", success="a"), "button a"),
        (lambda: HandRules(release_s=-1.0), "release_s"),
        (lambda: HandRules(stale_s=0.0), "stale_s"),
        (lambda: Operator(PLAIN, Buttons(), HandRules(), n_action=7), "7"),
    ],
)
def test_impossible_hands_are_refused_by_name(make, named):
    with pytest.raises(ConfigError, match=named):
        make()
