"""Devices that other drivers read: joysticks, twists, a leader arm; what is heard is what moves, and nothing jumps."""

from dataclasses import replace

import numpy as np
import pytest
from virtual_devices import Hands, moment

from o2o_robot.errors import ConfigError, DeviceError
from o2o_robot.robot.action import DeltaPosition
from o2o_robot.robot.kinematics import fr3
from o2o_robot.teleop.hand import HandRules, Operator
from o2o_robot.teleop.joy import Browser, BrowserConfig, Joy, JoyConfig
from o2o_robot.teleop.leader import SILENT_S, Leader, LeaderConfig
from o2o_robot.teleop.open_device import DEVICES, open_device, settings_of
from o2o_robot.teleop.twist import Twist, TwistConfig

PAD = [0.0] * 8
OURS = np.array([0.5, 0.1, 0.3])


# --- joysticks -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("axis", "moved"), [(1, 0), (0, 1), (4, 2), (3, 5)])
def test_a_pads_sticks_are_the_axes_that_joy_node_numbers(axis, moved):
    device = Joy(JoyConfig(), Hands())
    device.hear([float(n == axis) for n in range(8)], [0] * 11)
    np.testing.assert_array_equal(device.read(moment(0.0)).axes, np.eye(6)[moved])


def test_axes_are_picked_and_turned_as_told_and_buttons_are_numbers():
    device = Joy(JoyConfig(picks=("-2", ".", "+0", ".", ".", ".")), Hands())
    device.hear([0.1, 0.2, 0.3], [0, 1, 0, 1])
    reading = device.read(moment(0.0))
    np.testing.assert_allclose(reading.axes, [-0.3, 0.0, 0.1, 0, 0, 0])
    assert reading.buttons == {"1", "3"}


def test_an_empty_message_of_the_browser_lets_go_at_once_and_any_other_holds_on():
    device, clock = Browser(BrowserConfig(), hands := Hands()), hands
    who = Operator(device.rules, device.buttons, HandRules(), n_action=3)
    device.hear([0.0] * 6, [0])
    now = moment(clock.s)
    assert who.see(device.read(now), now).is_held, "held still"
    device.hear([], [])
    assert not who.see(device.read(now), now).is_held


def test_what_is_no_joystick_of_ours_is_refused_and_the_last_word_ages():
    device, clock = Joy(JoyConfig(), hands := Hands()), hands
    device.hear(PAD, [])
    clock.s += 1.0
    for axes in ([0.0] * 3, [float("nan")] * 8, [0.0] * 1000):
        with pytest.raises(DeviceError):
            device.hear(axes, [])
    assert device.read(moment(clock.s)).stamp_s == clock.s - 1.0


@pytest.mark.parametrize("picks", [("+1",), ("a", ".", ".", ".", ".", "."), ("+99", ".", ".", ".", ".", ".")])
def test_impossible_picks_are_refused(picks):
    with pytest.raises(ConfigError, match="pick"):
        JoyConfig(picks=picks)


# --- twists ----------------------------------------------------------------------------------------------------------
def test_a_speed_is_a_share_of_the_full_one_and_beyond_it_keeps_its_direction():
    device = Twist(TwistConfig(full_m_s=0.2, full_rad_s=0.5), Hands())
    device.hear((0.1, 0.0, -0.05), (0.0, 0.0, 0.25))
    np.testing.assert_allclose(device.read(moment(0.0)).axes, [0.5, 0.0, -0.25, 0.0, 0.0, 0.5])
    device.hear((0.4, 0.0, -0.2), (0.0, 0.0, 0.0))
    np.testing.assert_allclose(device.read(moment(0.0)).axes[:3], [1.0, 0.0, -0.5])
    with pytest.raises(DeviceError, match="not finite"):
        device.hear((float("inf"), 0.0, 0.0), (0.0, 0.0, 0.0))


# --- a leader arm ----------------------------------------------------------------------------------------------------
def led(leader: Leader, clock: Hands, way_m: list, tool_m: np.ndarray, *, reach: float = 1.0) -> np.ndarray:
    """Where our tool comes to while the leader goes that way, each step followed to the share `reach`."""
    space = DeltaPosition(scale_m=0.025)
    for at_m in way_m:
        clock.s += 0.1
        leader.hear_pose(np.asarray(at_m, float))
        now = moment(clock.s, tool_m)
        values = leader.read(now).axes[:3]
        assert np.abs(values).max() <= 1.0
        tool_m = tool_m + reach * (space.target(values, now.arm).position_m - tool_m)
    return tool_m


def leading(**changes: object) -> tuple[Leader, Hands]:
    clock = Hands()
    leader = Leader(LeaderConfig(**changes), clock)
    leader.hear_clutch(True)
    return leader, clock


def test_wherever_the_two_stand_when_the_clutch_closes_nothing_moves():
    for there in np.random.default_rng(0).uniform(-1, 1, (20, 3)):
        leader, clock = leading()
        leader.hear_pose(there)
        np.testing.assert_array_equal(leader.read(moment(clock.s, OURS)).axes, np.zeros(6))


def test_our_tool_comes_to_where_the_leaders_motion_leads_scaled_and_turned():
    leader, clock = leading(scale=0.5, turn_rad=np.pi / 2)
    there = led(leader, clock, [[0, 0, 0], *[[0.2, 0.0, 0.1]] * 10], OURS)
    np.testing.assert_allclose(there, OURS + np.array([0.0, 0.1, 0.05]), atol=1e-9)


def test_what_a_step_could_not_do_the_next_ones_make_up_for():
    leader, clock = leading()
    way = [[0.0, 0.0, 0.0], *[[0.3, 0.1, 0.0]] * 60]
    np.testing.assert_allclose(led(leader, clock, way, OURS, reach=0.5), OURS + np.array([0.3, 0.1, 0.0]), atol=1e-6)


@pytest.mark.parametrize("how", ["clutch", "silence", "episode"])
def test_after_a_pause_the_leader_may_be_anywhere_and_nothing_jumps(how):
    leader, clock = leading()
    ours = led(leader, clock, [[0, 0, 0], [0.02, 0, 0]], OURS)
    if how == "clutch":
        leader.hear_clutch(False)
        assert leader.read(moment(clock.s, ours)).is_held is False
        leader.hear_clutch(True)
    elif how == "silence":
        clock.s += SILENT_S + 0.1
        assert leader.read(moment(clock.s, ours)).is_held is False
    else:
        leader.begin(1)
    leader.hear_pose(np.array([-0.4, 0.5, 0.6]))
    assert not leader.read(moment(clock.s, ours)).axes.any()


def test_a_leaders_tool_comes_from_its_joints_by_name_and_its_trigger_grips():
    names = [f"joint{i}" for i in range(1, 8)]
    leader, clock = leading(pose="", joints=tuple(names), gripper_joint="finger", gripper_open=0.04)
    q_rad = np.array([0.0, -0.7, 0.1, -2.3, 0.0, 1.6, 0.8])
    shown = dict(zip(names, q_rad, strict=True)) | {"finger": 0.01, "other": 9.0}
    leader.hear_joints(shown)
    leader.read(moment(clock.s, OURS))
    turned = q_rad + np.array([0.01, 0, 0, 0, 0, 0, 0])
    leader.hear_joints(dict(reversed(shown.items())) | dict(zip(names, turned, strict=True)))
    reading = leader.read(moment(clock.s, OURS))
    moved_m = fr3().fk(turned).position_m - fr3().fk(q_rad).position_m
    np.testing.assert_allclose(reading.axes[:3], moved_m / 0.025, atol=1e-9)
    assert reading.gripper == -1.0
    with pytest.raises(DeviceError, match="joint7"):
        leader.hear_joints({name: 0.0 for name in names[:6]} | {"finger": 0.0})


def test_a_leader_without_a_clutch_leads_from_its_first_word_on():
    leader = Leader(LeaderConfig(clutch="always"), Hands())
    assert leader.read(moment(100.0, OURS)) is None
    leader.hear_pose(np.zeros(3))
    assert leader.read(moment(100.0, OURS)).is_held


def test_a_leader_whose_tool_is_nowhere_is_refused():
    with pytest.raises(DeviceError, match="not finite"):
        leading()[0].hear_pose(np.array([0.0, np.nan, 0.0]))
    for wrong in ({"pose": ""}, {"clutch": "pedal"}, {"scale": 0.0}):
        with pytest.raises(ConfigError):
            LeaderConfig(**wrong)


# --- all of them -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", DEVICES)
def test_every_device_is_opened_by_its_name_with_settings_that_say_what_they_are(name):
    device = open_device(name, {}, clock=Hands())
    device.begin(3)
    assert device.trouble == ""
    assert device.rules.matrix().shape == (3, 3)
    assert device.source in (1, 2)
    assert replace(device.buttons) == device.buttons
    assert all(told.strip() for _, told in settings_of(name).values()), settings_of(name)


def test_an_unknown_device_and_a_misspelt_setting_are_refused_by_name():
    with pytest.raises(ConfigError, match="joystick"):
        open_device("joystick", {}, clock=Hands())
    with pytest.raises(ConfigError, match="tap_s"):
        open_device("keyboard", {"taps": 1.0}, clock=Hands())
