"""Each way home: over what stands in between, loose from what holds the tool, along what was recorded, by a policy."""

from __future__ import annotations

from pathlib import Path as File

import numpy as np
import pytest
from point_arm import SCALE_M, PointArm

from o2o_robot.data.episode import demonstrated
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.reset.follow import Motion
from o2o_robot.reset.learned import Learned
from o2o_robot.reset.orders import Move
from o2o_robot.reset.path import Path, tool_way
from o2o_robot.reset.replay import Replay, recorded_way
from o2o_robot.reset.unstick import Unstick
from o2o_robot.robot.kinematics import fr3
from o2o_robot.types import ArmState, Pose

HOME_M = np.array([0.5, 0.0, 0.25])
MOTION = Motion(scale_m=SCALE_M)
PATH = Path(HOME_M, MOTION, travel_z_m=0.25)


def is_home(arm: PointArm) -> bool:
    return bool(np.linalg.norm(arm.at_m - HOME_M) <= MOTION.near_m)


def test_the_path_crosses_only_at_its_travel_height():
    arm = PointArm(at_m=np.array([0.42, 0.12, 0.03]))
    assert arm.carried_out(PATH.run(arm.felt)).why == ""
    assert is_home(arm)
    moved = np.array(arm.path_m)
    across = np.linalg.norm(np.diff(moved[:, :2], axis=0), axis=1) > 1e-6
    assert moved[:-1][across, 2].min() > 0.25 - 1e-3


def test_the_path_never_goes_down_before_it_is_above_home():
    arm = PointArm(at_m=np.array([0.42, 0.12, 0.40]))
    arm.carried_out(PATH.run(arm.felt))
    moved = np.array(arm.path_m)
    down = np.diff(moved[:, 2]) < -1e-6
    assert np.linalg.norm(moved[1:][down, :2] - HOME_M[:2], axis=1).max() < 1e-3


def test_the_path_goes_through_the_points_it_is_given():
    via = (np.array([0.40, -0.1, 0.30]), np.array([0.45, -0.05, 0.28]))
    arm = PointArm()
    arm.carried_out(Path(HOME_M, MOTION, via_m=via).run(arm.felt))
    for point in via:
        assert np.linalg.norm(np.array(arm.path_m) - point, axis=1).min() < 2e-3


def test_a_way_in_joint_space_is_the_tools_way_as_measured_now():
    kinematics, ready = fr3().with_tool((0.0, 0.0, 0.1)), np.array([0.0, -0.8, 0.0, -2.4, 0.0, 1.6, 0.8])
    state = ArmState(1, ready, np.zeros(7), kinematics.fk(ready))
    other = ready + 0.1
    np.testing.assert_allclose(tool_way(fr3(), [*ready, *other], state)[0], kinematics.fk(ready).position_m, atol=1e-9)
    np.testing.assert_allclose(tool_way(fr3(), [*ready, *other], state)[1], kinematics.fk(other).position_m, atol=1e-9)
    with pytest.raises(ConfigError, match="7 joints"):
        tool_way(fr3(), [0.0] * 8, ArmState(1, ready, np.zeros(7), Pose(HOME_M, state.tool.quat_xyzw)))


# --- loose from what holds it ----------------------------------------------------------------------------------------
def held_until(is_loose, start_m=(0.5, 0.1, 0.05)) -> PointArm:
    """An arm that cannot rise from its start before it got loose, and not move sideways by more than 7 mm."""
    start_m, loose = np.array(start_m), []

    def holds(at_m, to_m):
        if not loose and is_loose(to_m - start_m):
            loose.append(True)
        if loose:
            return to_m
        play_m = np.array([0.007, 0.007, 0.0])
        return np.clip(to_m, start_m - play_m, start_m + play_m)

    return PointArm(at_m=start_m, holds=holds)


HELD = {
    "by nothing": (lambda by: by[2] > 0.0, None),
    "by a push to the side": (lambda by: by[0] < -0.005 and by[2] < 0.004, np.array([-8.0, 0.0, 0.0])),
    "until it is wiggled both ways": (lambda by: by[1] < -0.003 and by[2] > 0.01, None),
}


@pytest.mark.parametrize("held", HELD)
def test_a_tool_comes_loose_and_goes_home(held):
    is_loose, force_n = HELD[held]
    arm = held_until(is_loose)
    arm.force_n = force_n
    assert arm.carried_out(Unstick(PATH, MOTION).run(arm.felt)).why == ""
    assert is_home(arm)


def test_a_tool_that_never_comes_loose_is_given_up_in_bounded_time():
    arm = held_until(lambda by: False)
    assert "did not come free" in arm.carried_out(Unstick(PATH, MOTION).run(arm.felt)).why
    assert arm.n(Move) < 200


# --- along what was recorded -----------------------------------------------------------------------------------------
WAY_M = np.array([[0.5, 0.01 * k, 0.25 - 0.02 * k] for k in range(8)])


@pytest.fixture
def store(tmp_path: File) -> File:
    n = len(WAY_M)
    images, state = {"front": np.zeros((n, 8, 8, 3), np.uint8)}, {"tool_position_m": WAY_M.astype(np.float32)}
    arrays = np.arange(n), np.zeros((n - 1, 3), np.float32), np.zeros(n - 1, np.float32)
    with EpisodeStore.create(tmp_path / "demo.zarr") as made:
        for name, is_success in (("failed", False), ("good", True)):
            outcome = "success" if is_success else "failure"
            made.append(
                demonstrated(images, state, *arrays, is_success=is_success, meta={"id": name, "outcome": outcome})
            )
    return tmp_path / "demo.zarr"


def test_a_stored_episode_is_gone_backward_from_where_it_is_nearest(store):
    way_m = recorded_way(store)
    np.testing.assert_allclose(way_m[0], WAY_M[-1], atol=1e-6)
    arm = PointArm(at_m=WAY_M[5] + [0.01, 0.0, 0.0])
    assert arm.carried_out(Replay(way_m, HOME_M, MOTION).run(arm.felt)).why == ""
    assert is_home(arm)
    off_m = np.linalg.norm(np.array(arm.path_m)[:, None] - WAY_M[None, :6], axis=2).min(axis=1)
    assert off_m.max() < 0.015


def test_a_recorded_reset_is_gone_as_it_was(store):
    np.testing.assert_allclose(recorded_way(store, "failed", backward=False), WAY_M, atol=1e-6)


def test_an_arm_far_from_the_recorded_way_does_not_try_it():
    arm = PointArm(at_m=np.array([0.3, 0.3, 0.3]))
    assert "from the recorded way" in arm.carried_out(Replay(WAY_M, HOME_M, MOTION).run(arm.felt)).why
    assert arm.orders == []


def test_an_episode_that_is_not_there_is_named(store):
    with pytest.raises(DataError, match="nobody"):
        recorded_way(store, "nobody")


# --- by a policy -----------------------------------------------------------------------------------------------------
class Toward:
    """Acts toward home, by this much a step."""

    def __init__(self, step: float) -> None:
        self.step, self.begun = step, 0

    def begin_episode(self) -> None:
        self.begun += 1

    def act(self, observation):
        off = HOME_M - observation.state["tool_position_m"]
        return self.step * off / max(np.abs(off).max(), 1e-9)


def test_a_policy_brings_the_arm_near_and_the_rest_is_a_path():
    arm, policy = PointArm(), Toward(0.8)
    assert arm.carried_out(Learned(policy, HOME_M, MOTION).run(arm.felt)).why == ""
    assert is_home(arm)
    assert policy.begun == 1


def test_a_policy_that_does_not_get_there_is_given_up_after_its_steps():
    arm = PointArm()
    why = arm.carried_out(Learned(Toward(0.0), HOME_M, MOTION, max_steps=17).run(arm.felt)).why
    assert "in 17 steps" in why
    assert arm.n(Move) == 17
