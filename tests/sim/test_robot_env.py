"""The Gymnasium environment over the twin."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("o2o_sim.engine", reason="needs mujoco")
pytest.importorskip("gymnasium")
import gymnasium
from gymnasium.utils.env_checker import check_env

import o2o_sim  # noqa: F401  (registers the ids)
from o2o_robot.errors import ArmError, ConfigError
from o2o_robot.safety.guard_config import twin
from o2o_robot.safety.reason import Reason
from o2o_robot.types import TaskState
from o2o_sim.config import TwinConfig
from o2o_sim.envs import make_env
from o2o_sim.registration import IDS, register
from o2o_sim.tasks.expert import make_expert


@pytest.mark.parametrize("env_id", list(IDS))
def test_gymnasium_finds_nothing_to_complain_about(env_id: str) -> None:
    env = gymnasium.make(env_id, render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
    env.close()


def test_registering_twice_changes_nothing() -> None:
    before = gymnasium.registry["o2o/Peg-v0"]
    register()
    assert gymnasium.registry["o2o/Peg-v0"] is before


def test_a_time_limit_is_truncated_and_never_terminated() -> None:
    env = make_env("peg", max_steps=5)
    env.reset(seed=0)
    ends = [env.step(np.array([0.0, 0.0, 1.0], np.float32))[1:4] for _ in range(5)]
    assert ends == [(0.0, False, False)] * 4 + [(0.0, False, True)]


def test_success_is_terminated_with_reward_one_and_not_truncated_even_on_the_last_step() -> None:
    def insert(max_steps: int) -> tuple[int, float, bool, bool]:
        env, rng = make_env("peg", max_steps=max_steps), np.random.default_rng(0)
        expert = make_expert("peg")
        expert.reset(rng)
        _, info = env.reset(seed=0)
        for n in range(1, max_steps + 1):
            task = TaskState(0, 0.0, False, privileged=info["privileged"])
            _, reward, terminated, truncated, info = env.step(expert.act(task, env.arm_state, rng))
            if terminated or truncated:
                return n, reward, terminated, truncated
        raise AssertionError("an episode must end at max_steps")

    n_steps, *end = insert(max_steps=50)
    assert end == [1.0, True, False]
    assert insert(max_steps=n_steps) == (n_steps, 1.0, True, False)


def test_executed_is_what_the_guard_let_through() -> None:
    env = make_env("peg", guard=replace(twin(), max_step_m=0.010))
    env.reset(seed=1)
    for asked in ([1.0, -1.0, 0.5], [0.2, 0.1, 0.0]):
        *_, info = env.step(np.array(asked, np.float32))
        shortened = np.array(asked) * min(1.0, 0.010 / (0.025 * np.linalg.norm(asked)))
        np.testing.assert_allclose(info["executed"], shortened, atol=1e-6)
        assert bool(info["reasons"] & Reason.STEP_SIZE) == (np.linalg.norm(asked) > 0.4)


def test_the_fourth_value_closes_opens_or_leaves_the_gripper_and_is_stored_as_asked() -> None:
    env = make_env("lift", config=TwinConfig(cameras=()))
    env.reset(seed=0)
    openings_m = []
    for grip in (-1.0, -0.3, 0.4, 1.0, 0.0):
        for _ in range(4):
            *_, info = env.step(np.array([0.0, 0.0, 0.1, grip], np.float32))
            assert info["executed"][3] == np.float32(grip)
        openings_m.append(env.arm_state.gripper_m)
    closed, left, left_again, opened, left_open = openings_m
    assert closed < 0.05
    assert left < 0.01
    assert left_again < 0.002  # closing goes on until it is told otherwise
    assert opened > 0.03
    assert left_open > 0.075


def test_an_arm_without_known_limits_is_not_moved_without_a_guard() -> None:
    with pytest.raises(ConfigError, match="pass the guard's settings"):
        make_env("reach", robot="my_arm.yaml")


def test_an_action_beyond_the_box_is_executed_as_its_edge() -> None:
    env = make_env("peg")
    env.reset(seed=1)
    *_, info = env.step(np.array([7.0, 0.0, 0.0], np.float32))
    np.testing.assert_allclose(info["executed"], [1.0, 0.0, 0.0], atol=1e-6)


def test_an_action_that_is_not_a_number_is_refused() -> None:
    env = make_env("peg")
    env.reset(seed=1)
    with pytest.raises(ArmError):
        env.step(np.array([np.nan, 0.0, 0.0], np.float32))


def test_a_seed_names_a_start_and_no_seed_goes_on_from_the_last() -> None:
    env = make_env("peg")
    starts = [env.reset(seed=s)[1]["privileged"] for s in (5, None, 5, None, 6)]
    np.testing.assert_array_equal(starts[0], starts[2])
    np.testing.assert_array_equal(starts[1], starts[3])
    assert not np.array_equal(starts[0], starts[1])
    assert not np.array_equal(starts[0], starts[4])


def test_observations_are_the_pictures_and_feelings_of_one_moment() -> None:
    env = make_env("peg")
    observation, _ = env.reset(seed=2)
    observation, *_ = env.step(np.array([1.0, 0.0, 0.0], np.float32))
    assert {k: (v.shape, v.dtype) for k, v in observation["images"].items()} == {
        "wrist": ((64, 64, 3), np.uint8),
        "front": ((64, 64, 3), np.uint8),
    }
    assert {k: v.shape for k, v in observation["state"].items()} == {
        "q_rad": (7,),
        "dq_rad": (7,),
        "tool_position_m": (3,),
        "tool_quat_xyzw": (4,),
        "gripper_m": (1,),
    }
    np.testing.assert_allclose(observation["state"]["tool_position_m"], env.arm_state.tool.position_m, atol=1e-6)
