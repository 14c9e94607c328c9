"""What the fourth value of an action means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from o2o_robot.errors import ArmError
from o2o_robot.robot.action import DeltaPosition, DeltaPositionGripper
from o2o_robot.types import ArmState, Pose

AT = ArmState(0, np.zeros(6), np.zeros(6), Pose(np.array([0.4, 0.1, 0.2]), np.array([1.0, 0, 0, 0])))
SPACE = DeltaPositionGripper()


@pytest.mark.parametrize(
    ("value", "opening_m"), [(-1, 0.0), (-0.51, 0.0), (-0.5, None), (0, None), (0.5, None), (0.51, 0.08), (1, 0.08)]
)
def test_far_down_closes_far_up_opens_and_in_between_is_left(value: float, opening_m: float | None) -> None:
    assert SPACE.opening_m(np.array([0.1, 0.2, 0.3, value])) == opening_m


def test_the_gripper_value_does_not_move_the_tool_and_comes_back_as_asked() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        asked = rng.uniform(-1, 1, 4).astype(np.float32)
        target = SPACE.target(asked, AT)
        np.testing.assert_array_equal(target.position_m, DeltaPosition().target(asked[:3], AT).position_m)
        np.testing.assert_allclose(SPACE.executed(target, AT, asked), asked, atol=1e-6)
        shorter = replace(target, position_m=0.5 * (target.position_m + AT.tool.position_m))
        np.testing.assert_allclose(SPACE.executed(shorter, AT, asked), [*asked[:3] / 2, asked[3]], atol=1e-6)


def test_three_values_have_no_gripper_to_move() -> None:
    plain = DeltaPosition()
    assert plain.opening_m(np.ones(3)) is None
    target = plain.target(np.ones(3), AT)
    np.testing.assert_array_equal(plain.executed(target, AT, np.ones(3)), plain.values(target, AT))


@pytest.mark.parametrize("values", [[0, 0, 0], [0, 0, 0, np.nan], [0, 0, 0, 0, 0]])
def test_values_that_are_not_four_finite_numbers_are_refused(values: list[float]) -> None:
    with pytest.raises(ArmError, match="4 finite numbers"):
        SPACE.target(np.array(values), AT)
