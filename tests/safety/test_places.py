"""Half-spaces for the tool and for the arm's body, and singular postures."""

from dataclasses import replace

import numpy as np
import pytest
from guard_examples import HAND, READY_RAD, engaged, moved, roomy, state_at
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from o2o_robot.errors import LimitError
from o2o_robot.robot.kinematics import fr3, ur5e
from o2o_robot.robot.rotation import matrix_from_quat, rotated
from o2o_robot.safety.body import BodyInside, BodyPoints
from o2o_robot.safety.guard_config import limits
from o2o_robot.safety.half_spaces import HalfSpaces, planes
from o2o_robot.safety.joint_prediction import JointPrediction
from o2o_robot.safety.limits_table import FR3_BODY, UR5E_BODY, fr3_conservative
from o2o_robot.safety.reason import Reason
from o2o_robot.safety.seen_arm import seen
from o2o_robot.safety.singularity import Condition, Singularity
from o2o_robot.types import Pose

STEP = arrays(np.float64, 3, elements=st.floats(-0.2, 0.2))
FRACTIONS = arrays(np.float64, 7, elements=st.floats(0.05, 0.95))
LOW, HIGH = fr3_conservative().min_rad, fr3_conservative().max_rad
HERE_M = state_at().tool.position_m
WALLS = planes((0.6, 0.0, 0.8, float(HERE_M @ (0.6, 0.0, 0.8)) + 0.03, 0.0, -1.0, 0.0, 0.05))
PREDICT = JointPrediction(HAND)


def stepped(state, offset_m, turn_rad):
    return Pose(state.tool.position_m + offset_m, rotated(state.tool.quat_xyzw, turn_rad))


@settings(max_examples=200, deadline=None)
@given(offset_m=STEP, turn_rad=STEP)
def test_neither_the_tool_nor_a_point_on_it_passes_any_plane(offset_m, turn_rad):
    points_m = np.array([[0.0, 0.0, 0.02]])
    state, limit = state_at(), HalfSpaces(WALLS, points_m)
    safe = limit(stepped(state, offset_m, turn_rad), state).target
    for at_m in (safe.position_m, safe.position_m + matrix_from_quat(safe.quat_xyzw) @ points_m[0]):
        reach = WALLS.normals @ at_m
        assert (reach <= np.maximum(WALLS.offsets_m, WALLS.normals @ HERE_M + 0.02) + 1e-8).all()
    assert not limit(safe, state).reasons


def test_a_tool_at_a_plane_slides_along_it_and_stops_in_the_corner_of_two():
    state, limit = state_at(), HalfSpaces(WALLS)
    slid = limit(moved(state, [0.0, 0.02, 0.1]), state).target.position_m - HERE_M
    assert slid[1] == pytest.approx(0.02)
    assert slid @ (0.6, 0.0, 0.8) == pytest.approx(0.03)
    corner = limit(moved(state, [0.1, -0.2, 0.1]), state).target.position_m
    assert (WALLS.normals @ corner <= WALLS.offsets_m + 1e-9).all()


def test_where_sliding_along_one_plane_leads_past_another_the_tool_stops_between_them():
    x_m, wedge = float(HERE_M[0]), np.array([-0.8, 0.6, 0.0])
    limit = HalfSpaces(planes((1.0, 0.0, 0.0, x_m + 0.01, *wedge, float(wedge @ HERE_M) + 0.01)))
    state = state_at()
    safe = limit(moved(state, [0.005, 0.2, 0.0]), state).target
    assert (limit.planes.normals @ safe.position_m <= limit.planes.offsets_m + 1e-9).all()
    assert not limit(safe, state).reasons


def test_a_tool_found_beyond_a_plane_may_come_back_but_go_no_further():
    state = state_at()
    wall = HalfSpaces(planes((1.0, 0.0, 0.0, float(HERE_M[0]) - 0.01)))
    assert not wall(moved(state, [-0.005, 0, 0]), state).reasons
    assert wall(moved(state, [0.005, 0, 0]), state).target.position_m[0] == pytest.approx(HERE_M[0])


@pytest.mark.parametrize("numbers", [(0, 0, 1), (0, 0, 2.0, 0.1), (np.nan, 0, 1, 0.1), (0, 0, 1, np.inf)])
def test_half_spaces_that_are_none_are_refused(numbers):
    with pytest.raises(LimitError, match="half-spaces"):
        planes(numbers)


@pytest.mark.parametrize(("arm", "body"), [(fr3(), FR3_BODY), (ur5e(), UR5E_BODY)])
def test_the_bodys_jacobian_is_the_derivative_of_where_its_points_are(arm, body):
    rng, h = np.random.default_rng(0), 1e-6
    for _ in range(10):
        q_rad, way = rng.uniform(-2, 2, arm.n_joints), rng.normal(size=arm.n_joints)
        points = BodyPoints(arm, body)
        _, jacobian = points.at(q_rad)
        change = (points.at(q_rad + h * way)[0] - points.at(q_rad - h * way)[0]) / (2 * h)
        np.testing.assert_allclose(jacobian @ way, change, atol=1e-6)


def test_the_last_point_of_each_body_is_the_flange():
    for arm, body in ((fr3(), FR3_BODY), (ur5e(), UR5E_BODY)):
        q_rad = np.linspace(0.1, 0.7, arm.n_joints)
        np.testing.assert_allclose(BodyPoints(arm, body).at(q_rad)[0][-1], arm.fk(q_rad).position_m, atol=1e-12)


@settings(max_examples=150, deadline=None)
@given(fractions=FRACTIONS, offset_m=STEP, turn_rad=STEP, normal=arrays(np.float64, 3, elements=st.floats(-1, 1)))
def test_no_point_of_the_body_is_led_past_a_plane_it_was_inside_of(fractions, offset_m, turn_rad, normal):
    normal = normal / np.linalg.norm(normal) if np.linalg.norm(normal) > 0.1 else np.array([1.0, 0, 0])
    state = state_at(LOW + fractions * (HIGH - LOW))
    points = BodyPoints(HAND, FR3_BODY)
    offset = float((points.at(state.q_rad)[0] @ normal).max()) + 0.003
    limit = BodyInside(PREDICT, points, planes((*normal, offset)))
    verdict = limit(stepped(state, 0.1 * offset_m, 0.1 * turn_rad), state)
    at_m, jacobian = points.at(state.q_rad)
    led_m = at_m + jacobian @ PREDICT(verdict.target, state)
    assert (led_m @ normal <= offset + 1e-8).all()
    assert not limit(verdict.target, state).reasons
    assert not limit(state.tool, state).reasons


def test_an_elbow_at_a_wall_stops_the_tool_that_is_far_from_it_and_says_that_it_was_the_body():
    points = BodyPoints(HAND, FR3_BODY)
    top_m = points.at(READY_RAD)[0][:, 2].max()
    limit = BodyInside(PREDICT, points, planes((0.0, 0.0, 1.0, float(top_m))))
    up = HAND.jacobian(READY_RAD)[:, 1] * -0.05  # joint 2 back: the elbow rises
    verdict = limit(Pose(HERE_M + up[:3], rotated(state_at().tool.quat_xyzw, up[3:])), state_at())
    assert verdict.reasons == Reason.WORKSPACE | Reason.BODY
    np.testing.assert_allclose(verdict.target.position_m, HERE_M, atol=1e-4)


def nearly_straight(bend_rad: float):
    """Reaching forward, the tool turned down: the straighter the elbow, the nearer the outer singularity."""
    return state_at(np.array([0.0, 0.3, 0.0, -bend_rad, 0.0, 1.6, 0.8]))


SINGULAR = Singularity(PREDICT, Condition(HAND), 17.0, 30.0, 0.035, 0.1)


def bent(state, angle_rad):
    """The tool's motion as the elbow opens by this angle."""
    twist = HAND.jacobian(state.q_rad)[:, 3] * angle_rad
    return stepped(state, twist[:3], twist[3:])


def test_toward_a_singular_posture_steps_shrink_to_nothing_and_back_they_are_free():
    seen = []
    for bend_rad in np.linspace(2.0, 0.8, 40):
        state = nearly_straight(bend_rad)
        number = Condition(HAND).of(state.q_rad)
        verdict = SINGULAR(bent(state, 0.07), state)
        done_m = np.linalg.norm(verdict.target.position_m - state.tool.position_m)
        share = min(1.0, max(0.0, (30 - number) / 13))
        assert done_m <= 0.035 * share + 1e-12
        assert number > 17 or not verdict.reasons
        assert not SINGULAR(verdict.target, state).reasons
        assert not SINGULAR(bent(state, -0.07), state).reasons
        seen.append((number, done_m))
    assert seen[0][0] < 17
    assert seen[0][1] > 0.02
    assert seen[-1][0] > 30
    assert seen[-1][1] == pytest.approx(0.0, abs=1e-12)


def test_an_arm_that_remembers_answers_as_one_that_does_not():
    rng, plain, kept = np.random.default_rng(0), HAND, seen(HAND)
    for q_rad in np.repeat(rng.uniform(-2, 2, (20, 7)), 3, axis=0):
        for name in ("frames", "jacobian", "joint_map"):
            np.testing.assert_array_equal(getattr(kept, name)(q_rad), getattr(plain, name)(q_rad))
        assert not np.array_equal(kept.jacobian(q_rad + 1e-9), kept.jacobian(q_rad))


def test_thresholds_the_wrong_way_round_are_refused():
    with pytest.raises(LimitError, match="stop_condition"):
        replace(SINGULAR, stop=10.0)


ALL = replace(roomy(), half_spaces=(0.6, 0.0, 0.8, 0.7), body_half_spaces=(0, 0, -1.0, -0.1), slow_condition=17.0)


@settings(max_examples=150, deadline=None)
@given(fractions=FRACTIONS, offset_m=STEP, turn_rad=STEP, force=arrays(np.float64, 3, elements=st.floats(-60, 60)))
def test_with_every_limit_on_what_was_let_through_is_let_through_unchanged(fractions, offset_m, turn_rad, force):
    state = replace(state_at(LOW + fractions * (HIGH - LOW)), wrench=np.concatenate([force, np.zeros(3)]))
    guard = engaged(replace(ALL, hard_force_n=1e3), state)
    once = guard.judge(stepped(state, offset_m, turn_rad), state)
    twice = guard.judge(once.target, state)
    np.testing.assert_array_equal(twice.target.position_m, once.target.position_m)
    np.testing.assert_array_equal(twice.target.quat_xyzw, once.target.quat_xyzw)
    for limit in limits(ALL):
        assert not limit(once.target, state).reasons
