"""Pretraining: a replay of logged episodes in, a learner out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from o2o_robot.algorithms.actor_critic import ActorCritic, Metrics
from o2o_robot.algorithms.config import AlgoConfig
from o2o_robot.data.replay import ReplayBuffer
from o2o_robot.errors import ConfigError

LOG_EVERY = 50


def pretrain(
    replay: ReplayBuffer,
    config: AlgoConfig,
    *,
    steps: int,
    seed: int,
    on_log: Callable[[int, Metrics], None] = lambda step, metrics: None,
) -> ActorCritic:
    """A learner after `steps` updates from the replay; on_log gets the metrics every 50 updates and at the last."""
    if steps < 1:
        raise ConfigError(f"steps must be >= 1, got {steps}")
    learner = prepare(replay, config, seed=seed)
    for k in range(1, steps + 1):
        rng = np.random.default_rng((seed, k))
        metrics = learner.update(replay.sample(learner.rows_per_update, rng))
        if k % LOG_EVERY == 0 or k == steps:
            on_log(k, metrics)
    return learner


def prepare(replay: ReplayBuffer, config: AlgoConfig, *, seed: int) -> ActorCritic:
    """An untrained learner that knows the data's scale: proprioception's spread, and the mean return."""
    learner = ActorCritic(config, replay.spec, replay.n_action, replay.transform, seed=seed)
    rng = np.random.default_rng((seed, 0))
    batches = [replay.sample(128, rng) for _ in range(16)]
    state = np.concatenate([batch.state for batch in batches])
    returns = np.concatenate([batch.mc_return for batch in batches])
    learner.set_state_statistics(state.mean(axis=0), state.std(axis=0))
    known = returns[np.isfinite(returns)]
    if len(known):
        learner.centre_values(float(known.mean()))
    return learner
