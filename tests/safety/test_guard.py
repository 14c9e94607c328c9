"""What the guard promises of one step, whatever is asked: geometry, and the arm behind it.

Where each test is that the safety specification names, and that none of them is missing: test_specified.py.
"""

import re
from dataclasses import replace

import numpy as np
import pytest
from guard_examples import MS, RecordingArm, action, engaged, moved, roomy, state_at
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from o2o_robot.errors import ArmError, LimitError
from o2o_robot.robot.action import DeltaPosition
from o2o_robot.robot.rotation import rotated
from o2o_robot.safety.guard import Guard
from o2o_robot.safety.guard_config import build_guard, fr3, limits, twin
from o2o_robot.safety.guard_state import GuardState
from o2o_robot.safety.guarded_arm import GuardedArm
from o2o_robot.safety.limit import Verdict
from o2o_robot.safety.limits_table import fr3_conservative
from o2o_robot.safety.reason import Reason
from o2o_robot.types import Pose

STEP = arrays(np.float64, 3, elements=st.floats(-0.3, 0.3))
FRACTIONS = arrays(np.float64, 7, elements=st.floats(0.05, 0.95))
LOW, HIGH = fr3_conservative().min_rad, fr3_conservative().max_rad
SPACE = DeltaPosition(0.025)


@settings(max_examples=150, deadline=None)
@given(fractions=FRACTIONS, offset_m=STEP, turn_rad=STEP, force=STEP.map(lambda f: 150.0 * f))
def test_what_the_guard_let_through_it_lets_through_again_unchanged(fractions, offset_m, turn_rad, force):
    state = replace(state_at(LOW + fractions * (HIGH - LOW)), wrench=np.concatenate([force, np.zeros(3)]))
    guard = engaged(replace(roomy(), hard_force_n=1e3), state)
    once = guard.judge(Pose(state.tool.position_m + offset_m, rotated(state.tool.quat_xyzw, turn_rad)), state)
    twice = guard.judge(once.target, state)
    np.testing.assert_array_equal(twice.target.position_m, once.target.position_m)
    np.testing.assert_array_equal(twice.target.quat_xyzw, once.target.quat_xyzw)


@settings(max_examples=100, deadline=None)
@given(offset_m=STEP)
def test_no_step_leaves_box_or_step_limit_whatever_is_asked(offset_m):
    state, config = state_at(), roomy()
    safe = engaged(config).judge(moved(state, offset_m), state).target.position_m
    assert np.linalg.norm(safe - state.tool.position_m) <= config.max_step_m + 1e-9
    assert (safe >= np.array(config.workspace_min_m) - 1e-9).all()
    assert (safe <= np.array(config.workspace_max_m) + 1e-9).all()


def test_the_widest_diagonal_a_policy_can_ask_for_is_cut_to_the_step_limit_and_says_so():
    state = state_at()
    verdict = engaged().judge(SPACE.target(np.array([1.0, 1.0, -1.0]), state), state)
    assert verdict.reasons == Reason.STEP_SIZE
    np.testing.assert_allclose(SPACE.values(verdict.target, state), 0.035 / (0.025 * 3**0.5) * np.array([1, 1, -1]))


def test_a_step_within_every_limit_is_sent_as_asked():
    state = state_at()
    target = moved(state, [0.005, 0.0, 0.005])
    verdict = engaged().judge(target, state)
    assert verdict.target is target
    assert verdict.reasons == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("index", range(7))
def test_a_number_that_is_not_finite_in_any_field_of_the_target_is_refused_before_any_limit_sees_it(bad, index):
    def witness(target, state):
        raise AssertionError("a limit was asked about NaN")

    guard, state = engaged(), state_at()
    guard._limits = (witness,)
    numbers = np.concatenate([state.tool.position_m, state.tool.quat_xyzw])
    numbers[index] = bad
    verdict = guard.judge(Pose(numbers[:3], numbers[3:]), state)
    assert verdict.reasons == Reason.NOT_FINITE | Reason.HOLD
    np.testing.assert_array_equal(verdict.target.position_m, state.tool.position_m)


@pytest.mark.parametrize("field", ["q_rad", "dq_rad", "position", "quat", "wrench", "gripper"])
def test_a_number_that_is_not_finite_in_any_field_of_the_state_latches_the_guard(field):
    good = state_at(wrench=np.zeros(6))
    bad = {
        "q_rad": lambda: replace(good, q_rad=np.where(np.arange(7) == 3, np.nan, good.q_rad)),
        "dq_rad": lambda: replace(good, dq_rad=np.full(7, np.inf)),
        "position": lambda: replace(good, tool=Pose(np.array([0, np.nan, 0]), good.tool.quat_xyzw)),
        "quat": lambda: replace(good, tool=Pose(good.tool.position_m, np.full(4, np.nan))),
        "wrench": lambda: replace(good, wrench=np.full(6, np.nan)),
        "gripper": lambda: replace(good, gripper_m=float("nan")),
    }[field]()
    guard = engaged(state=good)
    for verdict in (guard.judge(good.tool, bad), engaged(state=good).tick(MS, 0.001, bad)):
        assert verdict.reasons & Reason.STATE_NOT_FINITE
        assert np.isfinite(verdict.target.position_m).all()
    assert guard.state is GuardState.LATCHED


def test_a_target_whose_quaternion_is_no_rotation_is_refused():
    state = state_at()
    verdict = engaged().judge(Pose(state.tool.position_m, 1.1 * state.tool.quat_xyzw), state)
    assert verdict.reasons == Reason.QUATERNION | Reason.HOLD


def test_a_target_of_the_wrong_shape_is_refused():
    state = state_at()
    assert engaged().judge(Pose(np.zeros(2), state.tool.quat_xyzw), state).reasons == Reason.SHAPE | Reason.HOLD


def test_two_limits_that_pull_against_each_other_make_the_arm_hold():
    class Up:
        def __call__(self, target, state):
            return Verdict(moved(state, [0, 0, 0.01]), Reason.SPEED) if target.position_m[2] < 0.9 else Verdict(target)

    guard, state = engaged(), state_at()
    guard._limits = (Up(), *limits(roomy()))
    verdict = guard.judge(state.tool, state)
    assert verdict.reasons & Reason.HOLD
    np.testing.assert_array_equal(verdict.target.position_m, state.tool.position_m)


def test_the_arm_behind_the_guard_gets_what_was_returned_and_nothing_else():
    inner = RecordingArm()
    arm = GuardedArm(inner, build_guard(roomy()))
    arm.engage()
    sent = arm.command(moved(inner.state, [0.2, 0, 0]))
    assert sent.reasons == Reason.STEP_SIZE
    assert len(inner.targets) == 1
    np.testing.assert_array_equal(inner.targets[0].position_m, sent.target.position_m)


def test_the_arm_behind_the_guard_cannot_be_had_by_any_public_name():
    inner = RecordingArm()
    arm = GuardedArm(inner, build_guard(roomy()))
    for name in dir(arm):
        if not name.startswith("_GuardedArm__"):
            assert getattr(arm, name) is not inner, name
    with pytest.raises(AttributeError):
        arm.arm  # noqa: B018
    with pytest.raises(AttributeError):
        getattr(arm, "__arm")


def test_an_arm_that_was_not_armed_is_sent_nothing():
    inner = RecordingArm()
    arm = GuardedArm(inner, build_guard(roomy()))
    sent = arm.command(moved(inner.state, [0.01, 0, 0]))
    arm.hold()
    arm.tick(MS, 0.001)
    assert sent.reasons == Reason.NOT_ARMED | Reason.HOLD
    assert inner.targets == []


def test_a_target_that_is_not_finite_holds_the_arm_and_then_raises():
    inner = RecordingArm()
    arm = GuardedArm(inner, build_guard(roomy()))
    arm.engage()
    with pytest.raises(ArmError, match="not finite"):
        arm.command(Pose(np.full(3, np.nan), inner.state.tool.quat_xyzw))
    np.testing.assert_array_equal(inner.targets[-1].position_m, inner.state.tool.position_m)


def test_the_first_output_after_arming_is_the_measured_pose():
    inner = RecordingArm()
    arm = GuardedArm(inner, build_guard(roomy()))
    arm.engage(0, 0.0)
    sent = arm.tick(MS, 0.001)
    assert sent.reasons == 0
    np.testing.assert_array_equal(inner.targets[0].position_m, inner.state.tool.position_m)


def test_executed_values_are_those_of_the_pose_that_was_sent():
    inner = RecordingArm()
    arm = GuardedArm(inner, build_guard(roomy()))
    arm.engage(0, 0.0)
    done = arm.execute(action(values=(1, 1, 1), revision=4), SPACE, 0, 0.0)
    moved_m = inner.targets[-1].position_m - inner.state.tool.position_m
    np.testing.assert_allclose(done.values, moved_m / 0.025, rtol=1e-5)
    np.testing.assert_array_equal(done.proposed, np.ones(3))
    assert (done.reasons, done.seq, done.revision) == (Reason.STEP_SIZE, 1, 4)


def test_a_refused_action_is_executed_as_a_hold_and_recorded_with_its_reason():
    inner = RecordingArm()
    arm = GuardedArm(inner, build_guard(roomy()))
    arm.engage(0, 0.0)
    done = arm.execute(action(values=(np.nan, 0, 0)), SPACE, 0, 0.0)
    assert done.reasons == Reason.NOT_FINITE | Reason.HOLD
    np.testing.assert_array_equal(done.values, np.zeros(3))


def test_another_tool_than_the_configured_one_cannot_be_armed():
    guard = build_guard(replace(roomy(), tool_offset_m=(0.0, 0.0, 0.15)))
    with pytest.raises(ArmError, match="measured pose does not fit the joints"):
        guard.engage(0, 0.0, state_at())
    assert guard.state is GuardState.IDLE


def test_a_real_fr3_moves_at_most_8_mm_a_step_by_default():
    state = state_at()
    guard = build_guard(replace(fr3(), workspace_max_m=(0.65, 0.25, 0.6)))
    guard.engage(0, 0.0, state)
    sent = guard.judge(SPACE.target(np.array([1.0, 0, 0]), state), state).target
    assert np.linalg.norm(sent.position_m - state.tool.position_m) == pytest.approx(0.008)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"max_step_m": float("nan")}, "max_step_m"),
        ({"workspace_min_m": (1.0, 0.0, 0.0)}, "min below max"),
        ({"joint_margin_rad": 5.0}, "empty"),
        ({"state_latch_s": 0.01}, "state_latch_s"),
        ({"policy_period_s": 0.0}, "period_s"),
        ({"n_values": 0}, "n_values"),
        ({"resume_after_s": -1.0}, "resume_after_s"),
    ],
)
def test_impossible_settings_fail_when_the_guard_is_built(change, says):
    with pytest.raises(LimitError, match=re.escape(says)):
        build_guard(replace(twin(), **change))


def test_a_guard_without_limits_still_refuses_what_is_not_finite():
    full = engaged()
    full._limits = ()
    assert isinstance(full, Guard)
    assert full.judge(Pose(np.full(3, np.nan), state_at().tool.quat_xyzw), state_at()).reasons & Reason.NOT_FINITE
