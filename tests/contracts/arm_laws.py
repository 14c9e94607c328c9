"""The arm contract: laws that every arm keeps. A test file gives the fixture `bench`, and imports them all.

pytest.register_assert_rewrite("arm_laws")
from arm_laws import *
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from o2o_robot.errors import ArmError
from o2o_robot.robot.arm import Arm
from o2o_robot.types import Pose


class Bench(NamedTuple):
    """An arm, and the hand that turns its clock."""

    arm: Arm
    wait: Callable[[float], None]


def moved_by(pose: Pose, *offset_m: float) -> Pose:
    return Pose(pose.position_m + np.array(offset_m), pose.quat_xyzw)


def test_a_state_is_finite_and_of_the_stated_shapes(bench: Bench) -> None:
    state = bench.arm.read()
    assert state.q_rad.shape == state.dq_rad.shape == (7,)
    assert state.tool.position_m.shape == (3,)
    assert state.tool.quat_xyzw.shape == (4,)
    assert np.linalg.norm(state.tool.quat_xyzw) == pytest.approx(1.0, abs=1e-9)
    for values in (state.q_rad, state.dq_rad, state.tool.position_m):
        assert np.isfinite(values).all()


def test_a_state_that_was_read_does_not_change_later(bench: Bench) -> None:
    state = bench.arm.read()
    before = state.q_rad.copy(), state.tool.position_m.copy()
    bench.arm.command(moved_by(state.tool, 0.02, 0.0, 0.0))
    bench.wait(0.2)
    np.testing.assert_array_equal(state.q_rad, before[0])
    np.testing.assert_array_equal(state.tool.position_m, before[1])


def test_the_stamp_follows_the_clock(bench: Bench) -> None:
    before_ns = bench.arm.read().stamp_ns
    bench.wait(0.1)
    assert bench.arm.read().stamp_ns - before_ns == 100_000_000


def test_a_command_returns_the_motion_that_happens(bench: Bench) -> None:
    sent = bench.arm.command(moved_by(bench.arm.read().tool, 0.01, -0.012, 0.008))
    bench.wait(1.0)
    np.testing.assert_allclose(bench.arm.read().tool.position_m, sent.target.position_m, atol=1e-3)


def test_a_small_command_in_free_space_is_sent_as_asked(bench: Bench) -> None:
    target = moved_by(bench.arm.read().tool, 0.0, 0.01, 0.01)
    sent = bench.arm.command(target)
    assert sent.reasons == 0
    np.testing.assert_allclose(sent.target.position_m, target.position_m, atol=1e-12)


def test_the_joints_move_with_the_tool_as_the_kinematics_say(bench: Bench) -> None:
    from o2o_robot.robot.fake import fr3_with_hand

    bench.arm.command(moved_by(bench.arm.read().tool, 0.01, 0.02, -0.01))
    bench.wait(0.15)
    state = bench.arm.read()
    np.testing.assert_allclose(fr3_with_hand().fk(state.q_rad).position_m, state.tool.position_m, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("field", ["position_m", "quat_xyzw"])
def test_a_target_that_is_not_finite_is_refused_and_moves_nothing(bench: Bench, bad: float, field: str) -> None:
    tool = bench.arm.read().tool
    entries = {"position_m": tool.position_m.copy(), "quat_xyzw": tool.quat_xyzw.copy()}
    entries[field][1] = bad
    with pytest.raises(ArmError):
        bench.arm.command(Pose(**entries))
    bench.wait(0.3)
    np.testing.assert_allclose(bench.arm.read().tool.position_m, tool.position_m, atol=1e-3)


def test_hold_stops_the_arm_where_it_is(bench: Bench) -> None:
    start_m = bench.arm.read().tool.position_m
    bench.arm.command(moved_by(bench.arm.read().tool, 0.03, 0.0, 0.0))
    bench.wait(0.05)
    halfway_m = bench.arm.read().tool.position_m
    held = bench.arm.hold()
    np.testing.assert_allclose(held.target.position_m, halfway_m, atol=1e-9)
    bench.wait(1.0)
    end_m = bench.arm.read().tool.position_m
    assert 0.002 < halfway_m[0] - start_m[0] < 0.028
    np.testing.assert_allclose(end_m, halfway_m, atol=2e-3)
