"""N environments in threads of one process: training on the twin without ROS.

Physics and rendering let go of Python's lock while they run, so threads gain as far as there are cores for it; the
controller's own arithmetic does not. Where that is the bound, gymnasium.vector.AsyncVectorEnv runs processes instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate

from o2o_robot.errors import ConfigError

Result = tuple[Any, float, bool, bool, dict[str, Any]]


class ThreadedVectorEnv(VectorEnv):
    """Gymnasium's vector API. Autoreset is NEXT_STEP: the step after an end resets, ignores its action, rewards 0.

    with closing(ThreadedVectorEnv([lambda: make_env("peg")] * 8, threads=4)) as envs:
        observations, infos = envs.reset(seed=0)                # environment i starts at seed 0 + i
        observations, rewards, terminated, truncated, infos = envs.step(actions)

    Each environment is made, stepped and closed by one thread of its own choice, since a GL context belongs to a
    thread. Results do not depend on how many threads there are. Observations are newly allocated at each step.
    """

    def __init__(self, makers: Sequence[Callable[[], gymnasium.Env]], *, threads: int = 2) -> None:
        if not makers or threads < 1:
            raise ConfigError(f"a vector needs >= 1 environment and >= 1 thread, got {len(makers)} and {threads}")
        self._workers = [ThreadPoolExecutor(1, f"twin-{i}") for i in range(min(threads, len(makers)))]
        self.num_envs = len(makers)
        self.envs: list[gymnasium.Env] = self._each(lambda i: makers[i]())
        one = self.envs[0]
        self.metadata = {**one.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP}
        self.render_mode = one.render_mode
        self.single_observation_space, self.single_action_space = one.observation_space, one.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._has_ended = np.zeros(self.num_envs, bool)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start every environment: at seed + i, at seed[i], or without one where its own stream goes on."""
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed or [None] * self.num_envs
        if len(seeds) != self.num_envs:
            raise ConfigError(f"{len(seeds)} seeds for {self.num_envs} environments; give one each, or one number")
        self._has_ended[:] = False
        started = self._each(lambda i: self.envs[i].reset(seed=seeds[i], options=options))
        return self._batch([observation for observation, _ in started]), self._infos([info for _, info in started])

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step of every environment, or its reset where the last step was its episode's last."""
        each = list(iterate(self.action_space, actions))
        results = self._each(lambda i: self._restarted(i) if self._has_ended[i] else self.envs[i].step(each[i]))
        observations, rewards, terminated, truncated, infos = zip(*results, strict=True)
        ends = np.array(terminated, bool), np.array(truncated, bool)
        self._has_ended = ends[0] | ends[1]
        return self._batch(observations), np.array(rewards, np.float64), *ends, self._infos(infos)

    def render(self) -> tuple[Any, ...]:
        return tuple(self._each(lambda i: self.envs[i].render()))

    def close_extras(self, **kwargs: Any) -> None:
        """Close every environment in its own thread, then the threads."""
        self._each(lambda i: self.envs[i].close())
        for worker in self._workers:
            worker.shutdown()

    def _each(self, act: Callable[[int], Any]) -> list[Any]:
        """act(i) for every environment, each in its thread; what went wrong in the first of them is raised here."""
        told: list[Future[Any]] = [self._workers[i % len(self._workers)].submit(act, i) for i in range(self.num_envs)]
        return [future.result() for future in told]

    def _restarted(self, i: int) -> Result:
        observation, info = self.envs[i].reset()
        return observation, 0.0, False, False, info

    def _batch(self, observations: Sequence[Any]) -> Any:
        out: Any = create_empty_array(self.single_observation_space, self.num_envs, fn=np.empty)
        return concatenate(self.single_observation_space, observations, out)

    def _infos(self, infos: Sequence[dict[str, Any]]) -> dict[str, Any]:
        batched: dict[str, Any] = {}
        for i, info in enumerate(infos):
            batched = self._add_info(batched, info, i)
        return batched
