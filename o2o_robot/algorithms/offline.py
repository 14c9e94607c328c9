"""Pretraining: logged episodes in, a learner out; it can be stopped at any update and gone on with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from o2o_robot.algorithms.actor_critic import ActorCritic, Metrics
from o2o_robot.algorithms.batch import TensorBatch, staged
from o2o_robot.algorithms.config import AlgoConfig
from o2o_robot.algorithms.parallel import ALONE, Group
from o2o_robot.data.mixture import Mixture
from o2o_robot.data.prefetch import prefetched
from o2o_robot.data.transitions import Transitions
from o2o_robot.errors import ConfigError
from o2o_robot.nets.cached_replay import CachedReplay

LOG_EVERY = 50


def pretrain(
    replay: Transitions | Mixture | CachedReplay,
    config: AlgoConfig,
    *,
    steps: int,
    seed: int,
    on_log: Callable[[int, Metrics], None] = lambda step, metrics: None,
    learner: ActorCritic | None = None,
    save_every: int | None = None,
    on_save: Callable[[ActorCritic], None] = lambda learner: None,
    group: Group = ALONE,
    ahead: int = 0,
) -> ActorCritic:
    """A learner after `steps` updates from the replay; on_log gets the metrics every 50 updates and at the last.

    learner: one to go on with, from the update it has reached; a fresh one (`prepare`) unless given. Rows of update k
    are drawn from (seed, k) and its noise by the learner's generator, so that one that was saved, killed and loaded
    ends where one that was never stopped does. on_save is called every save_every updates. group: the processes that
    share each batch. ahead: batches that a thread draws beforehand (data/prefetch.py), the very same ones; nothing else
    may sample or change the replay meanwhile. Of several processes each draws when it is due.
    """
    if steps < 1 or (save_every is not None and save_every < 1):
        raise ConfigError(f"steps and save_every must be >= 1, got {steps} and {save_every}")
    learner = learner or prepare(replay, config, seed=seed)
    group.join(learner)
    todo = range(learner.n_updates + 1, steps + 1)
    drawn = (_drawn(group, learner, replay, np.random.default_rng((seed, k))) for k in todo)
    with prefetched(drawn, ahead=ahead if group.size == 1 else 0) as batches:
        for k, batch in zip(todo, batches, strict=True):
            metrics = group.update(learner, batch)
            if k % LOG_EVERY == 0 or k == steps:
                on_log(k, group.mean(metrics))
            if save_every is not None and k % save_every == 0 and k < steps:
                on_save(learner)
    return learner


def _drawn(
    group: Group, learner: ActorCritic, replay: Transitions | Mixture | CachedReplay, rng: np.random.Generator
) -> TensorBatch:
    """The rows of one update, ready to be moved to the learner's device."""
    batch = group.draw(learner, replay, rng)
    return staged(batch, learner.spec, learner.transform, pin=learner.device.startswith("cuda"))


def prepare(
    replay: Transitions | Mixture | CachedReplay, config: AlgoConfig, *, seed: int, device: str = "cpu"
) -> ActorCritic:
    """An untrained learner that knows the data's scale: proprioception's spread, and the mean return."""
    learner = ActorCritic(config, replay.spec, replay.n_action, replay.transform, seed=seed, device=device)
    rng = np.random.default_rng((seed, 0))
    batches = [replay.sample(128, rng) for _ in range(16)]
    state = np.concatenate([batch.state for batch in batches])
    returns = np.concatenate([batch.mc_return for batch in batches])
    learner.set_state_statistics(state.mean(axis=0), state.std(axis=0))
    known = returns[np.isfinite(returns)]
    if len(known):
        learner.centre_values(float(known.mean()))
    return learner
