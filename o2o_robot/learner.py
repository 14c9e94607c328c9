"""Learn while the robot works: steps in, updates at a stated ratio, revisioned weights out. No ROS, no threads.

WSRL (Zhou et al. 2024): a pretrained policy first runs frozen and fills the replay (warm-up), then SAC goes on from the
pretrained networks without any offline data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.algorithms import checkpoint
from o2o_robot.algorithms.actor_critic import ActorCritic, Metrics
from o2o_robot.algorithms.config import AlgoConfig
from o2o_robot.algorithms.phases import Phase, PhaseChange, switch
from o2o_robot.data.replay import ReplayBuffer
from o2o_robot.errors import CheckpointError, ConfigError
from o2o_robot.policy import weights_bytes
from o2o_robot.types import Mode, Step


class Snapshot(NamedTuple):
    """Encoder and actor as safetensors bytes, with the number of the update they are from and their sha256 (hex)."""

    revision: int
    data: bytes
    sha256: str


class Learner:
    """Owns the actor-critic and the replay of one online run.

        learner = Learner(actor_critic, replay, config=wsrl(), warmup_steps=500, seed=0)
        for step in stream:
            learner.add_step(step, mode=mode)
            while learner.updates_owed():
                metrics = learner.update()
            publish(learner.snapshot())

    It is in phase warmup until the replay has seen warmup_steps transitions; the switch to finetune is in `changes`.
    Row choice of update k is drawn from (seed, k), so that a resumed run draws what an uninterrupted one would have.
    """

    def __init__(
        self, actor_critic: ActorCritic, replay: ReplayBuffer, *, config: AlgoConfig, warmup_steps: int, seed: int = 0
    ) -> None:
        if warmup_steps < 0:
            raise ConfigError(f"warmup_steps must be >= 0, got {warmup_steps}")
        replay.require_transform(actor_critic.transform)
        self.actor_critic, self.replay, self.config = actor_critic, replay, config
        self.warmup_steps, self.seed = warmup_steps, seed
        self.n_updates = 0
        self.phase = Phase.WARMUP
        self.changes: list[PhaseChange] = [
            switch(actor_critic, Phase.PRETRAIN, Phase.WARMUP, actor_critic.config),
        ]

    @property
    def n_steps(self) -> int:
        """Transitions received so far."""
        return self.replay.steps_added

    @property
    def revision(self) -> int:
        """Number of the newest weights: all updates ever made, offline ones too."""
        return self.actor_critic.n_updates

    def add_step(self, step: Step, *, mode: Mode | str | None = None) -> None:
        """Take in the next step of the running episode; DataError where one was lost."""
        self.replay.add_step(step, mode=mode)
        if self.phase is Phase.WARMUP and self.n_steps >= self.warmup_steps:
            self.changes.append(switch(self.actor_critic, Phase.WARMUP, Phase.FINETUNE, self.config))
            self.phase = Phase.FINETUNE

    def updates_owed(self) -> int:
        """How many calls of `update` the steps received so far entitle to: none during warm-up.

        utd counts critic steps per environment step; each update makes critic_steps of them.
        """
        if self.phase is not Phase.FINETUNE or len(self.replay) == 0:
            return 0
        earned = int((self.n_steps - self.warmup_steps) * self.config.utd / self.config.critic_steps)
        return max(0, earned - self.n_updates)

    def update(self) -> Metrics:
        """One update from the replay; ConfigError during warm-up, when the policy is frozen."""
        if self.phase is not Phase.FINETUNE:
            raise ConfigError(
                f"no update before {self.warmup_steps} warm-up steps ({self.n_steps} so far); ask updates_owed() first"
            )
        rng = np.random.default_rng((self.seed, self.n_updates))
        metrics = self.actor_critic.update(self.replay.sample(self.actor_critic.rows_per_update, rng))
        self.n_updates += 1
        return metrics

    def snapshot(self) -> Snapshot:
        """The acting weights now, to publish."""
        data = weights_bytes(self.actor_critic.networks)
        return Snapshot(self.revision, data, hashlib.sha256(data).hexdigest())

    def save(self, folder: str | Path, *, provenance: Mapping[str, Any]) -> Path:
        """Checkpoint everything: networks, optimisers, generator, replay, counters."""
        counters = {"warmup_steps": self.warmup_steps, "seed": self.seed, "updates": self.n_updates}
        extra = {
            "replay": self.replay.state_dict(),
            "replay_size": {"capacity_steps": np.array([self.replay.capacity_steps], np.int64)},
        }
        return checkpoint.save(
            folder, self.actor_critic, phase=self.phase, provenance=provenance, counters=counters, extra=extra
        )

    @classmethod
    def resume(cls, folder: str | Path, *, config: AlgoConfig) -> Learner:
        """The learner as `save` left it; `config` is the fine-tuning one, as given at first.

        CheckpointError where the folder is a pretraining checkpoint (start a Learner from it instead).
        """
        facts = checkpoint.read_facts(folder)
        if facts.phase not in (Phase.WARMUP, Phase.FINETUNE):
            raise CheckpointError(
                f"{folder} is of phase {facts.phase.value}: nothing online to resume; start fine-tuning from it instead"
            )
        actor_critic = checkpoint.load(folder)
        arrays = checkpoint.read_extra(folder, "replay")
        capacity = int(checkpoint.read_extra(folder, "replay_size")["capacity_steps"][0])
        replay = ReplayBuffer(capacity, facts.spec, facts.n_action, facts.transform)
        replay.load_state_dict(arrays)
        learner = cls(
            actor_critic,
            replay,
            config=config,
            warmup_steps=facts.counters["warmup_steps"],
            seed=facts.counters["seed"],
        )
        learner.n_updates = facts.counters["updates"]
        if facts.phase is Phase.FINETUNE:
            learner.changes.append(switch(actor_critic, Phase.WARMUP, Phase.FINETUNE, config))
            learner.phase = Phase.FINETUNE
        return learner
