"""The guard's box against datasheet and URDF; the URDF read without trust."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from o2o_robot.errors import DataError
from o2o_robot.graph import JOINTS
from o2o_robot.preflight import limits
from o2o_robot.preflight.finding import Level
from o2o_robot.preflight.urdf import joint_limits
from o2o_robot.safety.guard_config import PRESETS
from o2o_robot.safety.limits_table import FACTS, FR3_URDF_MAX_RAD, FR3_URDF_MIN_RAD

NAMES = tuple(JOINTS["fr3"])


def a_urdf(low=FR3_URDF_MIN_RAD, high=FR3_URDF_MAX_RAD, *, speed=2.62, names=NAMES, within=""):
    """A URDF of nothing but limits."""
    joints = "".join(
        f'<joint name="{n}" type="revolute"><limit lower="{a}" upper="{b}" velocity="{speed}"/>{within}</joint>'
        for n, a, b in zip(names, low, high, strict=True)
    )
    return f'<?xml version="1.0"?><robot name="fr3">{joints}</robot>'


def level(urdf: str, robot: str = "fr3") -> Level:
    return limits.inside_urdf(PRESETS[robot](), urdf, NAMES).level


@pytest.mark.parametrize("robot", PRESETS)
def test_every_preset_lies_inside_what_its_maker_publishes(robot):
    assert limits.inside_datasheet(PRESETS[robot]()).level is Level.GREEN


def test_the_fr3s_box_lies_inside_its_urdf():
    assert level(a_urdf()) is Level.GREEN


@pytest.mark.parametrize("side", ["low", "high"])
@pytest.mark.parametrize("joint", range(7))
def test_a_urdf_that_is_narrower_at_one_side_of_one_joint_turns_the_check_red(joint, side):
    facts, margin = FACTS["fr3", "conservative"](), PRESETS["fr3"]().joint_margin_rad
    low, high = FR3_URDF_MIN_RAD.copy(), FR3_URDF_MAX_RAD.copy()
    if side == "low":
        low[joint] = facts.min_rad[joint] + margin + 0.01
    else:
        high[joint] = facts.max_rad[joint] - margin - 0.01
    found = limits.inside_urdf(PRESETS["fr3"](), a_urdf(low, high), NAMES)
    assert found.level is Level.RED
    assert NAMES[joint] in found.measured


def test_a_guard_that_allows_faster_joints_than_the_urdf_is_red():
    guard = replace(PRESETS["fr3"](), joint_speed_scale=1.0)
    assert limits.inside_urdf(guard, a_urdf(speed=2.0), NAMES).level is Level.RED  # joints 5 may go 3 rad/s
    assert limits.inside_urdf(guard, a_urdf(speed=3.0), NAMES).level is Level.GREEN


@pytest.mark.parametrize("soft", ['soft_lower_limit="-0.1"', 'soft_upper_limit="0.1"'])
def test_soft_limits_of_a_safety_controller_count_where_they_are_narrower(soft):
    assert level(a_urdf(within=f'<safety_controller {soft} k_velocity="1"/>')) is Level.RED


def test_a_urdf_of_another_robot_is_red_and_none_is_unknown():
    assert level(a_urdf(names=[f"panda_joint{i}" for i in range(1, 8)])) is Level.RED
    assert level("") is Level.UNKNOWN


def test_a_continuous_joint_has_no_limit():
    text = '<robot name="r"><joint name="j" type="continuous"><limit velocity="1" effort="1"/></joint></robot>'
    assert joint_limits(text)["j"] == (-math.inf, math.inf, 1.0)


LAUGHS = '<!DOCTYPE lolz [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><robot name="&b;"/>'
OUTSIDE = '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><robot name="&x;"/>'


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        OUTSIDE,
        "<robot",
        "",
        "<html/>",
        "\0",
        '<robot name="r"><joint name="j" type="revolute"><limit lower="${x}"/></joint></robot>',
        '<robot name="r"><joint name="j" type="revolute"><limit lower="nan" upper="1"/></joint></robot>',
        "<robot>" + " " * 9_000_000 + "</robot>",
    ],
)
def test_what_is_no_urdf_is_refused_in_one_line(text):
    with pytest.raises(DataError) as told:
        joint_limits(text)
    assert len(str(told.value).splitlines()) == 1
    assert "root:" not in str(told.value)


def test_joint_names_may_come_in_any_order_with_others_but_must_all_be_there():
    assert limits.joint_names([*reversed(NAMES), "finger"], NAMES).level is Level.GREEN
    assert limits.joint_names(NAMES[:-1], NAMES).level is Level.RED
    assert limits.joint_names([], NAMES).level is Level.UNKNOWN


def test_a_joint_named_twice_in_one_message_is_red():
    assert limits.repeated_names(NAMES).level is Level.GREEN
    assert limits.repeated_names([*NAMES, NAMES[0]]).level is Level.RED


def test_a_workspace_out_of_reach_or_turned_round_is_red():
    guard = PRESETS["fr3"]()
    assert limits.workspace(guard).level is Level.GREEN
    far = replace(guard, workspace_min_m=(2.0, -0.2, 0.0), workspace_max_m=(2.5, 0.2, 0.4))
    assert limits.workspace(far).level is Level.RED
    turned = replace(guard, workspace_min_m=guard.workspace_max_m, workspace_max_m=guard.workspace_min_m)
    assert limits.workspace(turned).level is Level.RED
