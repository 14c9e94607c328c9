from dataclasses import replace

import numpy as np
import pytest
from guard_examples import state_at
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from o2o_robot.errors import ArmError, ConfigError
from o2o_robot.robot.action import DeltaPosition
from o2o_robot.types import Pose


@settings(max_examples=50, deadline=None)
@given(values=arrays(np.float32, 3, elements=st.floats(-1, 1, width=32)))
def test_the_values_of_a_target_are_the_values_it_was_made_from(values):
    space, state = DeltaPosition(0.025), state_at()
    np.testing.assert_allclose(space.values(space.target(values, state), state), values, atol=1e-6)


def test_a_target_is_counted_from_the_measured_pose_so_that_contact_winds_nothing_up():
    space, state = DeltaPosition(0.025), state_at()
    first = space.target(np.array([0, 0, -1.0]), state)
    again = space.target(np.array([0, 0, -1.0]), replace(state, stamp_ns=1))  # did not move: blocked
    np.testing.assert_array_equal(first.position_m, again.position_m)


def test_the_orientation_is_fixed_whatever_is_measured():
    state = replace(state_at(), tool=Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])))
    np.testing.assert_array_equal(DeltaPosition().target(np.zeros(3), state).quat_xyzw, [1, 0, 0, 0])


@pytest.mark.parametrize("values", [[0.0, np.nan, 0.0], [0.0, 0.0], [np.inf, 0, 0]])
def test_values_that_are_not_three_finite_numbers_are_refused(values):
    with pytest.raises(ArmError, match="3 finite numbers"):
        DeltaPosition().target(np.array(values), state_at())


@pytest.mark.parametrize("settings_", [{"scale_m": 0.0}, {"scale_m": np.nan}, {"quat_xyzw": (1.0, 1.0, 0.0, 0.0)}])
def test_impossible_settings_fail_at_build(settings_):
    with pytest.raises(ConfigError):
        DeltaPosition(**settings_)
