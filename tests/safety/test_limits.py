"""The limits one by one: each is a law over random steps, and each leaves its own answer alone."""

from dataclasses import replace

import numpy as np
import pytest
from guard_examples import HAND, READY_RAD, moved, roomy, state_at
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from o2o_robot.errors import LimitError
from o2o_robot.robot.rotation import rotated, rotation_vector
from o2o_robot.safety.force import HardForce, SoftForce
from o2o_robot.safety.guard_config import limits
from o2o_robot.safety.joint_motion import JointMotion
from o2o_robot.safety.joint_position import JointBox
from o2o_robot.safety.joint_prediction import JointPrediction
from o2o_robot.safety.limits_table import fr3_conservative, fr3_published
from o2o_robot.safety.reason import Reason
from o2o_robot.safety.step_size import StepSize, tool_speed
from o2o_robot.safety.workspace import WorkspaceBox
from o2o_robot.types import Pose

STEP = arrays(np.float64, 3, elements=st.floats(-0.2, 0.2))
FACTS = fr3_conservative()
LOW, HIGH = FACTS.min_rad, FACTS.max_rad
FRACTIONS = arrays(np.float64, 7, elements=st.floats(0.0, 1.0))
WIDE = WorkspaceBox(np.array([0.2, -0.2, 0.3]), np.array([0.4, 0.2, 0.6]))
BOX = JointBox(JointPrediction(HAND), LOW, HIGH, 0.02)
MOTION = JointMotion(JointPrediction(HAND), FACTS.envelope, 0.5, 0.1)


def inside(fractions):
    return state_at(LOW + 0.02 + fractions * (HIGH - LOW - 0.04))


def stepped(state, offset_m, turn_rad):
    return Pose(state.tool.position_m + offset_m, rotated(state.tool.quat_xyzw, turn_rad))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", [-1, 1])
def test_no_target_lies_beyond_any_of_the_six_faces(axis, side):
    target = moved(state_at(), side * 0.5 * np.eye(3)[axis])
    verdict = WIDE(target, state_at())
    face = (WIDE.min_m, WIDE.max_m)[side > 0][axis]
    assert verdict.reasons == Reason.WORKSPACE
    assert verdict.target.position_m[axis] == pytest.approx(face)


def test_a_tool_at_a_face_slides_along_it():
    target = moved(state_at(), [0.5, 0.01, -0.02])
    np.testing.assert_allclose(WIDE(target, state_at()).target.position_m[1:], target.position_m[1:])


def test_a_tool_found_outside_may_come_back_but_go_no_further_out():
    outside = replace(state_at(), tool=Pose(np.array([0.41, 0.0, 0.5]), state_at().tool.quat_xyzw))
    assert not WIDE(moved(outside, [-0.005, 0, 0]), outside).reasons
    assert WIDE(moved(outside, [0.005, 0, 0]), outside).target.position_m[0] == pytest.approx(0.41)


def test_a_tool_far_outside_is_held_whatever_is_asked():
    lost = replace(state_at(), tool=Pose(np.array([0.43, 0.0, 0.5]), state_at().tool.quat_xyzw))
    verdict = WIDE(moved(lost, [-0.01, 0, 0]), lost)
    assert verdict.reasons == Reason.WORKSPACE
    np.testing.assert_array_equal(verdict.target.position_m, lost.tool.position_m)


def test_a_checkpoint_on_the_tool_stays_inside_too():
    box = replace(WIDE, checkpoints_m=np.array([[0.0, 0.0, 0.1]]))  # points down, as the tool does
    verdict = box(moved(state_at(), [0, 0, -0.15]), state_at())
    assert verdict.target.position_m[2] == pytest.approx(0.3 + 0.1)


@settings(max_examples=200, deadline=None)
@given(offset_m=STEP, turn_rad=STEP)
def test_a_step_is_never_longer_than_the_limit_and_keeps_its_direction(offset_m, turn_rad):
    state, limit = state_at(), StepSize(0.035, 0.05)
    safe = limit(stepped(state, offset_m, turn_rad), state).target
    moved_m, turned_rad = (
        safe.position_m - state.tool.position_m,
        rotation_vector(state.tool.quat_xyzw, safe.quat_xyzw),
    )
    assert np.linalg.norm(moved_m) <= 0.035 + 1e-12
    assert np.linalg.norm(turned_rad) <= 0.05 + 1e-12
    for done, asked in ((moved_m, offset_m), (turned_rad, turn_rad)):
        assert np.linalg.norm(np.cross(done, asked)) <= 1e-9
        assert done @ asked >= -1e-12


@settings(max_examples=100, deadline=None)
@given(offset_m=STEP)
def test_a_step_within_the_limit_passes_untouched(offset_m):
    target = moved(state_at(), offset_m * 0.1)  # at most 34.7 mm
    verdict = StepSize(0.035, 0.05)(target, state_at())
    assert verdict.target is target
    assert not verdict.reasons


def test_the_speed_limit_is_the_step_over_the_period():
    safe = tool_speed(0.25, 0.5, period_s=0.1)(moved(state_at(), [0, 0.1, 0]), state_at())
    assert safe.reasons == Reason.SPEED
    assert safe.target.position_m[1] == pytest.approx(0.025)


@settings(max_examples=200, deadline=None)
@given(fractions=FRACTIONS, offset_m=STEP, turn_rad=STEP)
def test_predicted_joints_never_leave_their_box(fractions, offset_m, turn_rad):
    state = inside(fractions)
    safe = BOX(stepped(state, offset_m, turn_rad), state).target
    q_rad = state.q_rad + JointPrediction(HAND)(safe, state)
    assert (q_rad >= LOW + 0.02 - 1e-8).all()
    assert (q_rad <= HIGH - 0.02 + 1e-8).all()


def test_a_walk_of_random_targets_never_leads_the_joints_out_of_their_box():
    rng, state, hits = np.random.default_rng(0), state_at(), 0
    drift = np.array([0.02, 0.01, 0.01])  # always pushing the same way: it must meet a limit
    for _ in range(400):
        verdict = BOX(stepped(state, drift + 0.02 * rng.standard_normal(3), 0.05 * rng.standard_normal(3)), state)
        state = state_at(state.q_rad + JointPrediction(HAND)(verdict.target, state))
        hits += bool(verdict.reasons)
        assert ((state.q_rad >= LOW) & (state.q_rad <= HIGH)).all()
    assert hits > 10


def test_a_joint_found_outside_its_box_may_only_move_back_in():
    q_rad = READY_RAD.copy()
    q_rad[3] = LOW[3] - 0.05
    state = state_at(q_rad)
    push = HAND.jacobian(q_rad)[:, 3] * 0.02  # the tool motion that turns joint 4 alone, upwards: back in
    inward, outward = JointPrediction(HAND), stepped(state, -push[:3], -push[3:])
    assert inward(stepped(state, push[:3], push[3:]), state)[3] > 0
    np.testing.assert_allclose(BOX(outward, state).target.position_m, state.tool.position_m, atol=1e-12)


@settings(max_examples=200, deadline=None)
@given(fractions=FRACTIONS, offset_m=STEP, turn_rad=STEP)
def test_no_joint_is_asked_for_more_than_its_share_of_the_top_speed(fractions, offset_m, turn_rad):
    state = inside(fractions)
    safe = MOTION(stepped(state, offset_m, turn_rad), state).target
    assert (np.abs(JointPrediction(HAND)(safe, state)) / 0.1 <= 0.5 * FACTS.envelope.max_rad_s + 1e-7).all()


@pytest.mark.parametrize("joint", range(7))
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_joint_near_its_end_stop_is_asked_for_no_more_than_it_can_brake_from_where_it_would_get_to(joint, side):
    envelope = fr3_published().envelope
    q_rad = READY_RAD.copy()
    q_rad[joint] = (envelope.min_rad, envelope.max_rad)[side > 0][joint] - side * 0.25
    state = state_at(q_rad)
    push = HAND.jacobian(q_rad)[:, joint] * side * 0.24  # asks, above all, this joint for nearly all the room there is
    limit = JointMotion(JointPrediction(HAND), envelope, 1.0, 0.1)
    verdict = limit(stepped(state, push[:3], push[3:]), state)
    step_rad = JointPrediction(HAND)(verdict.target, state)
    assert verdict.reasons == Reason.JOINT_MOTION
    assert (step_rad / 0.1 <= envelope.upper(q_rad + step_rad) + 1e-7).all()
    assert (-step_rad / 0.1 <= envelope.lower(q_rad + step_rad) + 1e-7).all()


@settings(max_examples=100, deadline=None)
@given(fractions=FRACTIONS, offset_m=STEP, turn_rad=STEP)
def test_joint_limits_keep_the_tool_on_its_line(fractions, offset_m, turn_rad):
    state = inside(fractions)
    for limit in (BOX, MOTION):
        done_m = limit(stepped(state, offset_m, turn_rad), state).target.position_m - state.tool.position_m
        assert np.linalg.norm(np.cross(done_m, offset_m)) <= 1e-9


def test_the_allowed_speed_is_zero_at_the_end_stop_and_the_top_speed_far_from_it():
    envelope = fr3_published().envelope
    assert (envelope.upper(envelope.max_rad) == 0).all()
    assert (envelope.lower(envelope.min_rad) == 0).all()
    assert envelope.upper(np.zeros(7))[0] == 2.62


PUSHED = np.array([0.0, 0.0, 30.0, 0, 0, 0])  # the world pushes the tool up


def test_above_the_soft_force_nothing_moves_further_into_the_contact_but_sliding_and_retreat_stay_free():
    state, limit = state_at(wrench=PUSHED), SoftForce(20.0)
    pressed = limit(moved(state, [0.01, 0, -0.01]), state)
    assert pressed.reasons == Reason.FORCE
    np.testing.assert_allclose(pressed.target.position_m, moved(state, [0.01, 0, 0]).position_m)
    assert not limit(moved(state, [0.01, 0, 0.01]), state).reasons


def test_below_the_soft_force_and_without_a_sensor_force_changes_nothing():
    for wrench in (PUSHED / 2, None):
        state = state_at(wrench=wrench)
        assert not SoftForce(20.0)(moved(state, [0, 0, -0.01]), state).reasons


def test_the_hard_force_speaks_above_its_limit_only():
    assert HardForce(45.0)(state_at(wrench=2 * PUSHED)) == Reason.FORCE_HARD
    assert not HardForce(45.0)(state_at(wrench=PUSHED))


@settings(max_examples=150, deadline=None)
@given(fractions=FRACTIONS, offset_m=STEP, turn_rad=STEP, force=arrays(np.float64, 3, elements=st.floats(-60, 60)))
def test_every_limit_leaves_its_own_answer_and_the_measured_pose_alone(fractions, offset_m, turn_rad, force):
    state = replace(inside(fractions), wrench=np.concatenate([force, np.zeros(3)]))
    for limit in limits(roomy()):
        once = limit(stepped(state, offset_m, turn_rad), state)
        assert not limit(once.target, state).reasons, limit
        assert not limit(state.tool, state).reasons or isinstance(limit, WorkspaceBox)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: WorkspaceBox(np.array([0, 0, 1.0]), np.array([1, 1, 0.5])), "min below max"),
        (lambda: WorkspaceBox(np.array([0, 0, np.nan]), np.ones(3)), "finite"),
        (lambda: StepSize(-0.01, 0.1), "max_step_m"),
        (lambda: StepSize(np.nan, 0.1), "max_step_m"),
        (lambda: tool_speed(0.25, 0.5, period_s=0.0), "period_s"),
        (lambda: JointBox(JointPrediction(HAND), HIGH, LOW), "inverted"),
        (lambda: JointBox(JointPrediction(HAND), LOW[:6], HIGH[:6]), "7 joints"),
        (lambda: JointBox(JointPrediction(HAND), LOW * np.nan, HIGH), "inverted"),
        (lambda: JointMotion(JointPrediction(HAND), FACTS.envelope, 1.5, 0.1), "at most 1"),
        (lambda: SoftForce(0.0), "soft_force_n"),
        (lambda: HardForce(np.inf), "hard_force_n"),
    ],
)
def test_nan_inverted_and_negative_settings_fail_at_build_and_say_which(build, says):
    with pytest.raises(LimitError, match=says):
        build()
