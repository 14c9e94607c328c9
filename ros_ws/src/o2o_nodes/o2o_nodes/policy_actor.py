"""A trained policy as the actor of a session."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from o2o_nodes.sight import Look
from o2o_robot.policy import Policy
from o2o_robot.types import Mode, Observation, Source


class PolicyActor:
    """The policy's mean action in evaluation, samples elsewhere, each episode's chance from its own seed."""

    source = Source.POLICY

    def __init__(
        self,
        policy: Policy,
        *,
        seed: int,
        began: Callable[[], None] = lambda: None,
        seen: Callable[[Look], None] = lambda look: None,
    ) -> None:
        """began, seen: told of every episode, and of every look before it is acted on."""
        self.policy = policy
        self.latency_s: list[float] = []
        self._seed, self._began, self._seen = seed, began, seen
        self._critic_s_revision = policy.revision
        self._last: tuple[Observation, np.ndarray] | None = None
        self._rng = torch.Generator()
        self._deterministic = True

    @property
    def revision(self) -> int:
        return self.policy.revision

    def begin(self, mode: Mode, seed: int) -> None:
        self._deterministic = mode is Mode.EVAL
        self._rng.manual_seed(self._seed * 1_000_003 + seed)
        self.policy.begin_episode()
        self._began()

    def act(self, look: Look) -> np.ndarray:
        self._seen(look)
        started = time.perf_counter()
        values = self.policy.act(look.observation, deterministic=self._deterministic, rng=self._rng)
        self.latency_s.append(time.perf_counter() - started)
        self._last = (look.observation, values)
        return values

    def q(self) -> float:
        """NaN once newer weights act: they come without the critic that learned with them, which stays at the learner;
        and of chunks of actions, whose critic values no single one."""
        policy = self.policy
        if self._last is None or policy.revision != self._critic_s_revision or policy.config.chunk > 1:
            return float("nan")
        return policy.q_value(*self._last)
