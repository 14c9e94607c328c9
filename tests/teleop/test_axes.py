"""How axes become a motion: continuous at the deadband, true in direction, the same in any frame."""

import numpy as np
import pytest

from o2o_robot.errors import ConfigError
from o2o_robot.robot.rotation import matrix_from_quat, rotated
from o2o_robot.teleop.axes import IDENTITY, AxisRules

RNG = np.random.default_rng(0)
PUSHES = RNG.uniform(-1.0, 1.0, (200, 6))
ALONG_X = np.eye(6)[0]


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


@pytest.mark.parametrize("deadband", [0.05, 0.1, 0.4])
def test_at_the_edge_of_the_deadband_there_is_no_step(deadband):
    rules = AxisRules(deadband=deadband)
    for direction in PUSHES:
        edge = np.concatenate([deadband * direction[:3] / np.linalg.norm(direction[:3]), np.zeros(3)])
        assert not rules.motion(edge * (1 - 1e-9)).any()
        assert np.abs(rules.motion(edge * (1 + 1e-6))).max() < 1e-5


def test_a_push_a_little_further_never_moves_less():
    rules = AxisRules(deadband=0.1, expo=0.7)
    moved = [rules.motion(push * ALONG_X)[0] for push in np.linspace(0.0, 1.0, 500)]
    assert (np.diff(moved) >= 0).all()
    assert (moved[0], moved[-1]) == (0.0, pytest.approx(1.0))


def test_with_expo_a_small_push_moves_less_and_the_end_of_the_way_is_the_same():
    small, full = 0.3 * ALONG_X, ALONG_X
    moved = [AxisRules(expo=expo).motion(small)[0] for expo in (0.0, 0.5, 1.0)]
    assert moved[0] > moved[1] > moved[2] > 0.0
    assert {AxisRules(expo=expo).motion(full)[0] for expo in (0.0, 0.5, 1.0)} == {1.0}


def test_the_full_range_of_a_device_is_the_full_range_of_the_action_along_an_axis_and_aslant():
    rules = AxisRules(deadband=0.2, expo=0.5)
    for corner in ([1, 0, 0], [1, 1, 0], [1, -1, 1]):
        np.testing.assert_allclose(rules.motion(np.array([*corner, 0, 0, 0], float))[:3], corner, atol=1e-12)


@pytest.mark.parametrize("rules", [AxisRules(), AxisRules(deadband=0.3, expo=1.0), AxisRules(scale=0.4), IDENTITY])
def test_a_push_aslant_keeps_its_direction_and_stays_in_the_box(rules):
    for push in PUSHES:
        moved = rules.motion(push)
        assert np.abs(moved).max() <= 1.0 + 1e-12
        for part in (slice(0, 3), slice(3, 6)):
            if moved[part].any():
                assert cosine(moved[part], push[part]) == pytest.approx(1.0)


def test_a_turned_tool_frame_that_saturates_keeps_its_direction_too():
    quat = rotated(np.array([0.0, 0.0, 0.0, 1.0]), np.array([0.0, 0.0, np.pi / 4]))
    moved = AxisRules(frame="tool", deadband=0.0, expo=0.0).motion(np.array([1.0, 1.0, 0, 0, 0, 0]), quat)
    np.testing.assert_allclose(moved[:3], [0.0, 1.0, 0.0], atol=1e-12)


def test_a_motion_in_the_tools_frame_is_that_of_the_base_turned_and_turned_back_it_is_the_push():
    rules = AxisRules(frame="tool", deadband=0.0, expo=0.0, scale=0.5)
    for push in PUSHES:
        quat = RNG.normal(size=4)
        quat /= np.linalg.norm(quat)
        moved, turn = rules.motion(push, quat), matrix_from_quat(quat)
        np.testing.assert_allclose(turn.T @ moved[:3], 0.5 * push[:3], atol=1e-12)
        assert cosine(turn.T @ moved[3:], push[3:]) == pytest.approx(1.0)


def test_axes_are_exchanged_and_turned_as_told():
    rules = AxisRules(deadband=0.0, expo=0.0, axes=("-y", "+x", "0"))
    moved = rules.motion(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]))
    np.testing.assert_allclose(moved, [-0.2, 0.1, 0.0, -0.5, 0.4, 0.0])


def test_what_is_an_action_already_passes_bit_for_bit():
    assert all(np.array_equal(IDENTITY.motion(push), push) for push in PUSHES)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"deadband": 1.0}, "deadband"),
        ({"deadband": -0.1}, "deadband"),
        ({"expo": 2.0}, "expo"),
        ({"scale": 1.5}, "scale"),
        ({"scale": 0.0}, "scale"),
        ({"axes": ("+x", "+y")}, "axes"),
        ({"axes": ("+x", "+q", "+z")}, r"\+q"),
        ({"axes": ("+x", "xy", "+z")}, "xy"),
        ({"frame": "world"}, "world"),
    ],
)
def test_impossible_rules_are_refused_by_name(wrong, named):
    with pytest.raises(ConfigError, match=named):
        AxisRules(**wrong)


def test_a_tool_frame_without_a_tool_is_refused():
    with pytest.raises(ConfigError, match="current_pose"):
        AxisRules(frame="tool").motion(ALONG_X)
