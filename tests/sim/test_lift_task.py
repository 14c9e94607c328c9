"""The lift task and the gripper: what is held stays held, what counts as lifted, and what the gripper refuses."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("o2o_sim.engine", reason="needs mujoco")
from o2o_robot.errors import ArmError, ConfigError
from o2o_robot.robot.action import DeltaPositionGripper
from o2o_sim.config import LiftConfig, TwinConfig
from o2o_sim.tasks.expert import make_expert
from o2o_sim.twin import Twin

SPACE = DeltaPositionGripper()
BLIND = TwinConfig(task="lift", cameras=())
UP, STILL = np.array([0.0, 0.0, 0.5]), np.zeros(3)


@pytest.fixture
def twin() -> Twin:
    return Twin(BLIND)


def go(twin: Twin, motion: np.ndarray, grip: float = 0.0, n: int = 1) -> None:
    for _ in range(n):
        values = np.append(motion, grip)
        if (opening_m := SPACE.opening_m(values)) is not None:
            twin.grip(opening_m)
        twin.step(SPACE.target(values, twin.arm_state()))


def lifted(twin: Twin, seed: int, max_steps: int = 50) -> bool:
    """The expert's episode."""
    twin.reset(seed)
    rng, expert = np.random.default_rng(seed), make_expert("lift")
    expert.reset(rng)
    for _ in range(max_steps):
        values = expert.act(twin.task_state(), twin.arm_state(), rng)
        go(twin, values[:3], values[3])
        if twin.task_state().success:
            return True
    return False


def cube_m(twin: Twin) -> np.ndarray:
    return twin.task_state().privileged[:3]


def test_the_fingers_open_and_close_at_their_speed_and_read_their_opening(twin: Twin) -> None:
    assert twin.arm_state().gripper_m == pytest.approx(0.08)
    twin.grip(0.0)
    twin.advance(0.3)
    assert twin.arm_state().gripper_m == pytest.approx(0.05, abs=0.004)  # 0.1 m/s, less the servo's lag
    twin.advance(1.0)
    assert twin.arm_state().gripper_m == pytest.approx(0.0, abs=0.001)
    twin.grip(0.03)
    twin.advance(1.0)
    assert twin.arm_state().gripper_m == pytest.approx(0.03, abs=0.001)


def test_a_finger_pushed_aside_takes_the_other_with_it(twin: Twin) -> None:
    twin.grip(0.04)
    twin.advance(1.0)
    twin._data.qfrc_applied[7] = 5.0
    twin.advance(0.5)
    left_m, right_m = twin._data.qpos[7:9]
    assert left_m == pytest.approx(right_m, abs=1e-3)
    assert left_m == pytest.approx(0.02, abs=0.003)


def test_a_held_cube_stays_between_the_pads_while_the_arm_shakes_it(twin: Twin) -> None:
    for seed in range(4):
        assert lifted(twin, seed)
        in_hand_m = cube_m(twin) - twin.task_state().privileged[3:]
        for sign in (1, -1, 1, -1, 1, -1):
            go(twin, sign * np.array([0.8, 0.8, 0.3]))
        drift_m = cube_m(twin) - twin.task_state().privileged[3:] - in_hand_m
        assert np.linalg.norm(drift_m) < 0.003
        assert twin.arm_state().gripper_m == pytest.approx(BLIND.lift.side_m, abs=0.003)


def test_a_cube_let_go_falls_back_on_the_table_and_is_lifted_no_more(twin: Twin) -> None:
    assert lifted(twin, 0)
    go(twin, STILL, 1.0, n=10)
    assert cube_m(twin)[2] == pytest.approx(BLIND.lift.side_m / 2, abs=0.002)
    assert not twin.task_state().success


def test_a_lift_counts_only_after_it_has_lasted(twin: Twin) -> None:
    twin.reset(0)
    twin._data.qpos[9:12] = (0.5, 0.1, 0.4)  # in the air, where it falls 0.05 m in the next 0.1 s
    twin.advance(0.1)
    assert cube_m(twin)[2] > 0.2
    assert not twin.task_state().success


def test_the_verdict_does_not_depend_on_how_often_it_is_asked_for(twin: Twin) -> None:
    assert lifted(twin, 1)
    assert all(twin.task_state().success for _ in range(5))
    twin.reset(1)
    assert not any(twin.task_state().success for _ in range(5))


def test_a_restored_twin_remembers_what_it_holds_and_for_how_long(twin: Twin) -> None:
    assert lifted(twin, 2)
    stored = twin.snapshot()
    go(twin, STILL, 1.0, n=10)
    twin.restore(stored)
    assert twin.task_state().success
    go(twin, UP, n=3)
    go(twin, STILL, n=10)
    assert twin.task_state().success


def test_a_gripper_is_not_asked_for_more_than_it_has(twin: Twin) -> None:
    for opening_m in (-0.01, 0.2, np.nan):
        with pytest.raises(ArmError, match=r"opens from 0 to 0\.08"):
            twin.grip(opening_m)
    with Twin(TwinConfig(cameras=())) as peg, pytest.raises(ArmError, match="no gripper"):
        peg.grip(0.0)


def test_a_cube_wider_than_the_gripper_is_refused() -> None:
    with pytest.raises(ConfigError, match="side_m"):
        LiftConfig(side_m=0.09)


def test_a_heavier_cube_weighs_on_the_measured_wrench() -> None:
    with Twin(TwinConfig(task="lift", cameras=(), lift=LiftConfig(mass_kg=0.5))) as twin:
        assert lifted(twin, 0)
        twin.advance(1.0)
        assert twin.arm_state().wrench[2] == pytest.approx(-0.5 * 9.81, rel=0.1)
