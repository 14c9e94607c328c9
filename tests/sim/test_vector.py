"""N environments in threads behave as each of them alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import numpy as np
import pytest

pytest.importorskip("o2o_sim.engine", reason="needs mujoco")
pytest.importorskip("gymnasium")
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from o2o_robot.errors import ArmError, ConfigError
from o2o_sim.envs import make_env
from o2o_sim.vector import ThreadedVectorEnv

N = 3
MAKERS: list[Callable] = [lambda: make_env("peg", max_steps=4)] * N


def history(envs: VectorEnv, n_steps: int = 10) -> list[np.ndarray]:
    """Everything that comes out of a random walk over several episodes."""
    rng, seen = np.random.default_rng(0), []
    with closing(envs):
        observations, infos = envs.reset(seed=5)
        for _ in range(n_steps):
            seen += [*observations["images"].values(), *observations["state"].values(), infos["executed"]]
            actions = rng.uniform(-1, 1, envs.action_space.shape).astype(np.float32)
            observations, *ends, infos = envs.step(actions)
            seen += ends
    return seen


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_are_those_of_gymnasiums_own_loop_however_many_threads_there_are(threads: int) -> None:
    one_by_one = history(SyncVectorEnv(MAKERS))
    in_threads = history(ThreadedVectorEnv(MAKERS, threads=threads))
    assert len(one_by_one) == len(in_threads)
    for expected, found in zip(one_by_one, in_threads, strict=True):
        np.testing.assert_array_equal(expected, found)


def test_the_step_after_an_end_resets_and_takes_no_action() -> None:
    with closing(ThreadedVectorEnv(MAKERS)) as envs:
        assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
        envs.reset(seed=0)
        actions = np.ones((N, 3), np.float32)
        ends = [envs.step(actions)[3].tolist() for _ in range(4)]
        assert ends == [[False] * N] * 3 + [[True] * N]
        _, rewards, terminated, truncated, infos = envs.step(actions)
        assert not any(array.any() for array in (rewards, terminated, truncated))
        assert not infos["executed"].any()


def test_a_reset_of_all_leaves_no_reset_to_be_made_up_for() -> None:
    with closing(ThreadedVectorEnv(MAKERS)) as envs:
        envs.reset(seed=0)
        actions = np.ones((N, 3), np.float32)
        for _ in range(4):
            envs.step(actions)
        envs.reset(seed=0)
        *_, infos = envs.step(actions)
        assert infos["executed"].all()


def test_what_was_observed_is_not_changed_by_the_next_step() -> None:
    with closing(ThreadedVectorEnv(MAKERS)) as envs:
        before, _ = envs.reset(seed=0)
        kept = before["state"]["q_rad"].copy()
        envs.step(np.ones((N, 3), np.float32))
        np.testing.assert_array_equal(before["state"]["q_rad"], kept)


def test_an_error_in_one_thread_is_raised_where_the_step_was_asked_for() -> None:
    with closing(ThreadedVectorEnv(MAKERS)) as envs:
        envs.reset(seed=0)
        actions = np.zeros((N, 3), np.float32)
        actions[1] = np.nan
        with pytest.raises(ArmError, match="finite"):
            envs.step(actions)


def test_impossible_vectors_are_refused() -> None:
    with pytest.raises(ConfigError, match="0 and 2"):
        ThreadedVectorEnv([])
    with closing(ThreadedVectorEnv(MAKERS[:1])) as envs, pytest.raises(ConfigError, match="2 seeds for 1"):
        envs.reset(seed=[1, 2])
