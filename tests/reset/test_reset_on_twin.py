"""Resets of the simulated arm behind its guard: no teleporting, home again from where episodes leave it, verified."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("o2o_sim.engine", reason="needs mujoco")
from cell import HOME_M, MOTION, Cell

from o2o_robot.reset.ask import AskPerson
from o2o_robot.reset.chain import Chain
from o2o_robot.reset.orders import Place
from o2o_robot.reset.path import Path
from o2o_robot.reset.start import Start
from o2o_robot.reset.unstick import Unstick
from o2o_robot.reset.views import Views
from o2o_sim.config import TwinConfig

GREATEST_STEP_RAD = 0.12  # of any joint in 0.1 s: 1.2 rad/s, half of what the FR3 allows
SPREAD_M = (0.05, 0.08, 0.03)
UP = np.array([0.0, 0.0, 1.0])


def chain(motion=MOTION, *, views: Views | None = None, **start) -> Chain:
    path = Path(np.array(HOME_M), motion)
    strategies = [path, Unstick(path, motion), AskPerson()]
    return Chain(strategies, Start(HOME_M, **start), views or Views(0), motion=motion, asks=1)


@pytest.fixture
def peg() -> Cell:
    return Cell(TwinConfig(cameras=()))


def test_five_episodes_are_reset_and_no_joint_ever_jumps(peg):
    told = chain(spread_m=SPREAD_M)
    for seed in range(5):
        target_m = peg.twin.task_state().privileged[:3]
        peg.drive(target_m + 0.10 * UP, 12)
        peg.drive(target_m + 0.04 * UP, 12)  # the peg's end, 60 mm below the tool, in the socket
        assert peg.carried_out(told, seed).is_verified
        off_m = np.linalg.norm(peg.arm.read().tool.position_m - told.start.drawn_m(seed))
        assert off_m < told.tolerances.position_m
    assert np.abs(np.diff(peg.q_rad, axis=0)).max() < GREATEST_STEP_RAD
    assert peg.asked == []


def test_each_scene_is_the_one_that_its_seed_draws(peg):
    for seed in (3, 4):
        peg.carried_out(chain(), seed)
        assert peg.orders[-1] != Place(seed)  # it was looked at, too
        placed = peg.twin.task_state().privileged[:6]
        peg.twin.reset(seed)
        np.testing.assert_array_equal(peg.twin.task_state().privileged[:6], placed)


def test_the_arm_is_left_as_it_is_where_the_scene_is_placed(peg):
    peg.drive([0.55, 0.1, 0.25], 10)
    before = peg.arm.read()
    peg.twin.place_scene(9)
    after = peg.arm.read()
    np.testing.assert_array_equal(after.q_rad, before.q_rad)
    np.testing.assert_array_equal(after.dq_rad, before.dq_rad)
    peg.twin.advance(0.2)
    assert np.linalg.norm(peg.arm.read().tool.position_m - before.tool.position_m) < 0.01


def test_a_cube_is_placed_at_rest_where_its_seed_draws_it():
    lift = Cell(TwinConfig(task="lift", cameras=()))
    lift.twin.reset(5)
    wanted_m = lift.twin.task_state().privileged[:3]
    lift.twin.reset(1)
    lift.drive(lift.twin.task_state().privileged[:3], 20)  # into the cube, which it pushes or presses
    motion = replace(MOTION, grip=1.0)
    assert lift.carried_out(chain(motion, gripper_m=0.08), 5).is_verified
    np.testing.assert_allclose(lift.twin.task_state().privileged[:3], wanted_m, atol=1e-3)


def test_a_gripper_that_stays_shut_is_refused():
    lift = Cell(TwinConfig(task="lift", cameras=()))
    for _ in range(8):
        lift.step(np.array([0.0, 0.0, 0.0, -1.0]))
    outcome = lift.carried_out(chain(replace(MOTION, grip=0.0), gripper_m=0.08), 0)
    assert not outcome.is_verified
    assert "gripper is" in outcome.message


def test_an_arm_under_emergency_stop_does_not_move_and_is_not_verified(peg):
    peg.drive([0.55, 0.1, 0.25], 10)
    peg.arm.guard.latch()
    before = peg.arm.read().tool.position_m
    outcome = peg.carried_out(chain(), 0)
    assert not outcome.is_verified
    assert "latched" in outcome.message
    assert np.linalg.norm(peg.arm.read().tool.position_m - before) < 0.01


def test_a_person_at_the_device_is_followed_and_then_the_arm_goes_home(peg):
    peg.hands = {n: np.array([0.0, 1.0, 0.0], np.float32) for n in range(5, 15)}
    assert peg.carried_out(chain(), 0).is_verified
    assert peg.moved_by_hand == 10
    assert np.abs(np.diff(peg.q_rad, axis=0)).max() < GREATEST_STEP_RAD
