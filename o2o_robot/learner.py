"""Learn while the robot works: steps in, updates at a stated ratio, revisioned weights out. No ROS, no threads.

WSRL (Zhou et al. 2024): a pretrained policy first runs frozen and fills the replay (warm-up), then SAC goes on from the
pretrained networks without any offline data. `SwitchPlan` says what may lie between the two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.algorithms import checkpoint
from o2o_robot.algorithms.actor_critic import ActorCritic, Metrics
from o2o_robot.algorithms.config import AlgoConfig
from o2o_robot.algorithms.intrinsic import IntrinsicFloor
from o2o_robot.algorithms.phases import Phase, PhaseChange, switch
from o2o_robot.algorithms.snapshot import replay_of
from o2o_robot.algorithms.switch_plan import SwitchPlan, plateaued, precise_enough
from o2o_robot.algorithms.warmup import EpisodeGaps
from o2o_robot.data import human
from o2o_robot.data.relabel import Word
from o2o_robot.data.replay import ReplayBuffer
from o2o_robot.data.transitions import Transitions
from o2o_robot.errors import CheckpointError, ConfigError
from o2o_robot.policy import weights_bytes
from o2o_robot.safety.reason import LATCHING, STOPPING, Reason
from o2o_robot.types import Array, Batch, Mode, Step

N_PROBE = 256
# an episode whose last transition carries one of these was ended by the guard (termination `safety`)
ENDED_BY_GUARD = Reason.SOFT_STOP | Reason.LATCHED | Reason.NOT_ARMED | STOPPING | LATCHING


class Snapshot(NamedTuple):
    """Encoder and actor as safetensors bytes, with the number of the update they are from and their sha256 (hex)."""

    revision: int
    data: bytes
    sha256: str


class Learner:
    """Owns the actor-critic and the replay of one online run.

        learner = Learner(actor_critic, replay, config=wsrl(), plan=SwitchPlan(warmup_steps=500), seed=0)
        for step in stream:
            learner.add_step(step, mode=mode)
            while learner.updates_owed():
                metrics = learner.update()
            publish(learner.snapshot())

    Phases follow one another as the plan says: warmup, recalibrate where asked, finetune; each switch is in `changes`.
    offline: retained data, of which config.offline_share of every mini-batch is drawn; config.intervention_share of it
    is drawn from steps that a person moved, as soon as one has come (data/human.py). Steps that lay in the replay
    before (offline data appended to it) are not counted as received.
    Row choice of update k is drawn from (seed, k), so that a resumed run draws what an uninterrupted one would have.
    """

    def __init__(
        self,
        actor_critic: ActorCritic,
        replay: ReplayBuffer,
        *,
        config: AlgoConfig,
        plan: SwitchPlan | None = None,
        offline: ReplayBuffer | None = None,
        seed: int = 0,
    ) -> None:
        if config.offline_share > 0 and offline is None:
            raise ConfigError(
                f"offline_share is {config.offline_share} but no offline data were given; pass them, or set it to 0"
            )
        replay.require_transform(actor_critic.transform)
        self.actor_critic, self.replay, self.config = actor_critic, replay, config
        self.plan, self.seed = plan or SwitchPlan(), seed
        self._offline = offline
        self._source = _source(replay, offline, config)
        self.n_updates = 0
        self.n_recalibrations = 0
        self.rollbacks = 0  # how often it went back to a copy of itself, by the policy's word
        self.errors: list[float] = []  # the critic's against the returns, at each look of the recalibration
        self._steps_before = replay.steps_added
        self._learned_from = 0  # steps received when the fine-tuning began
        self.learns_from_latched = False
        self.n_left_out = 0  # of the steps received: those of episodes that the guard ended
        self._left_out_since = 0  # of these, received since the fine-tuning began
        self._was_stopped = False  # the running episode, by its last transition
        self._gaps = EpisodeGaps(actor_critic, replay.tail)
        self.phase = Phase.WARMUP
        self.changes: list[PhaseChange] = [
            switch(actor_critic, Phase.PRETRAIN, Phase.WARMUP, actor_critic.config),
        ]
        if self.plan.warmup_steps == 0:
            self._end_warmup()

    @property
    def n_steps(self) -> int:
        """Transitions received so far."""
        return self.replay.steps_added - self._steps_before

    @property
    def warmup_steps(self) -> int:
        """Steps the warm-up took, or will take at most."""
        return self._learned_from if self.phase is Phase.FINETUNE else self.plan.warmup_steps

    @property
    def revision(self) -> int:
        """Number of the newest weights: all updates ever made, offline ones too."""
        return self.actor_critic.n_updates

    def add_step(self, step: Step, *, mode: Mode | str | None = None) -> None:
        """Take in the next step of the running episode; DataError where one was lost.

        An episode that the guard ended is left out again once its last step is here, unless learns_from_latched: it
        counts as received, but earns no update. So does an evaluation, each of whose transitions is left out at once.
        """
        self.replay.add_step(step, mode=mode)
        if mode == Mode.EVAL:
            self._leave_out(min(1, step.index))
            return
        leave_out = step.is_last and self._was_stopped and not self.learns_from_latched
        self._was_stopped = (
            step.truncated and step.executed is not None and bool(step.executed.reasons & ENDED_BY_GUARD)
        )
        if leave_out:
            self._leave_out(step.index)
            step = replace(step, index=0)  # no gap is measured of it
        if self.phase is Phase.WARMUP:
            if self.plan.warmup_precision > 0:
                self._gaps.add(step)
            if self.n_steps >= self.plan.warmup_steps or (step.is_last and self._warm_enough()):
                self._end_warmup()

    def relabel(self, episode: str, outcome: Word) -> int:
        """A person's late word on an episode of the replay, which the updates from now on learn from.

        The number of its transitions, 0 where the replay does not hold it. DataError while it runs. What was learned
        from the old word stays learned: the critic unlearns it as fast as it samples the new one.
        """
        return self.replay.relabel(episode, outcome)

    def _leave_out(self, n_steps: int) -> None:
        self.replay.leave_out(n_steps)
        self.n_left_out += n_steps
        if self.phase is Phase.FINETUNE:
            self._left_out_since += min(n_steps, self.n_steps - self._learned_from)

    def updates_owed(self) -> int:
        """How many calls of `update` the steps received so far entitle to: none during warm-up.

        utd counts critic steps per environment step; each update makes critic_steps of them. While recalibrating, what
        is left of it at most: that is not paid for by steps.
        """
        if self.phase is Phase.WARMUP or len(self.replay) == 0:
            return 0
        if self.phase is Phase.RECALIBRATE:
            return self.plan.recalibrate_updates - self.n_recalibrations
        learned = self.n_steps - self._learned_from - self._left_out_since
        earned = int(learned * self.config.utd / self.config.critic_steps)
        return max(0, earned - (self.n_updates - self.n_recalibrations))

    def update(self) -> Metrics:
        """One update from the replay; ConfigError during warm-up, when the policy is frozen."""
        if self.phase is Phase.WARMUP:
            raise ConfigError(
                f"no update before {self.plan.warmup_steps} warm-up steps ({self.n_steps} so far); "
                "ask updates_owed() first"
            )
        if self.plan.anchor_updates and self.phase is Phase.FINETUNE:
            done = self.n_updates - self.n_recalibrations
            self.actor_critic.anchor_scale = max(0.0, 1.0 - done / self.plan.anchor_updates)
        metrics = self.actor_critic.update(self._sample(np.random.default_rng((self.seed, self.n_updates))))
        self.n_updates += 1
        if self.phase is Phase.RECALIBRATE:
            self.n_recalibrations += 1
            self._look()
        return metrics

    def snapshot(self) -> Snapshot:
        """The acting weights now, to publish."""
        data = weights_bytes(self.actor_critic.networks, {"rollbacks": str(self.rollbacks)})
        return Snapshot(self.revision, data, hashlib.sha256(data).hexdigest())

    def _sample(self, rng: np.random.Generator) -> Batch:
        config, rows = self.config, self.actor_critic.rows_per_update
        if not len(self.replay):
            raise ConfigError("no online transition has come yet; ask updates_owed() first")
        return self._source.sample(rows, rng, chunk=config.chunk, frame_stack=config.frame_stack)

    def _warm_enough(self) -> bool:
        plan, transform = self.plan, self.actor_critic.transform
        if plan.warmup_precision == 0:
            return False
        horizon = abs(transform.scale) / (1.0 - transform.discount)
        return precise_enough(
            self._gaps.gaps,
            reward_horizon=horizon,
            precision=plan.warmup_precision,
            at_least=plan.min_warmup_episodes,
        )

    def _end_warmup(self) -> None:
        if self.plan.recalibrate_updates and len(self.replay):
            self._go_to(Phase.RECALIBRATE, replace(self.config, update_actor=False))
        else:
            self._go_to(Phase.FINETUNE, self.config)
            self._learned_from = self.n_steps

    def _look(self) -> None:
        """Every look_every updates: is the critic still getting better on the warm-up's data?"""
        over = self.n_recalibrations >= self.plan.recalibrate_updates
        if self.n_recalibrations % self.plan.look_every == 0:
            self.errors.append(self._value_error())
            over = over or plateaued(self.errors, self.plan.recalibrate_plateau)
        if over:
            self._go_to(Phase.FINETUNE, self.config)
            self._learned_from = self.n_steps

    def _value_error(self) -> float:
        """Mean squared difference of Q at the data's actions and the returns, on a fixed draw of the replay."""
        rng = np.random.default_rng((self.seed, 1 << 40))
        probe = self.replay.sample(
            N_PROBE, rng, chunk=self.config.chunk, frame_stack=self.config.frame_stack, with_return_only=True
        )
        _, q_data = self.actor_critic.values(probe)
        return float(np.square(q_data.cpu().numpy() - probe.mc_return).mean())

    def _go_to(self, phase: Phase, config: AlgoConfig) -> None:
        self.changes.append(switch(self.actor_critic, self.phase, phase, config))
        self.phase = phase
        if config.bonus != "none" and config.calibrate:  # Q is worth the bonus too, so its floor must be
            offline = None if self._offline is None else IntrinsicFloor(self._offline, self.actor_critic)
            self._source = _source(IntrinsicFloor(self.replay, self.actor_critic), offline, config)

    def save(
        self, folder: str | Path, *, provenance: Mapping[str, Any], counters: Mapping[str, int] | None = None
    ) -> Path:
        """Checkpoint everything: networks, optimisers, generator, replay, counters. Retained offline data are not.

        counters: of the caller's own, kept beside ours. Of an episode that is running no warm-up gap is kept: with
        warmup_precision a learner resumed in its middle measures one episode less.
        """
        counters = {
            **(counters or {}),
            "seed": self.seed,
            "updates": self.n_updates,
            "recalibrations": self.n_recalibrations,
            "steps_before": self._steps_before,
            "learned_from": self._learned_from,
            "rollbacks": self.rollbacks,
            "left_out": self.n_left_out,
            "left_out_since": self._left_out_since,
            "was_stopped": int(self._was_stopped),
        }
        extra: dict[str, dict[str, Array]] = {
            "replay": self.replay.state_dict(),
            "replay_size": {
                "capacity_steps": np.array([self.replay.capacity_steps], np.int64),
                "tail": np.frombuffer(self.replay.tail.encode(), np.uint8),
            },
            "switch": {
                "errors": np.array(self.errors, np.float64),
                "gaps": np.array(self._gaps.gaps, np.float64),
            },
        }
        return checkpoint.save(
            folder, self.actor_critic, phase=self.phase, provenance=provenance, counters=counters, extra=extra
        )

    @classmethod
    def resume(
        cls,
        folder: str | Path,
        *,
        config: AlgoConfig,
        plan: SwitchPlan | None = None,
        offline: ReplayBuffer | None = None,
    ) -> Learner:
        """The learner as `save` left it; config, plan and offline data are the fine-tuning's, as given at first.

        CheckpointError where the folder is a pretraining checkpoint (start a Learner from it instead).
        """
        facts = checkpoint.read_facts(folder)
        if facts.phase not in (Phase.WARMUP, Phase.RECALIBRATE, Phase.FINETUNE):
            raise CheckpointError(
                f"{folder} is of phase {facts.phase.value}: nothing online to resume; start fine-tuning from it instead"
            )
        if facts.phase is Phase.FINETUNE:
            checkpoint.refuse_changes(facts.config, config, where=str(folder))
        actor_critic = checkpoint.load(folder)
        learner = cls(
            actor_critic,
            replay_of(folder),
            config=config,
            plan=replace(plan or SwitchPlan(), warmup_steps=max(1, (plan or SwitchPlan()).warmup_steps)),
            offline=offline,
            seed=facts.counters["seed"],
        )
        learner._restore(facts.phase, facts.counters, checkpoint.read_extra(folder, "switch"))
        return learner

    def _restore(self, phase: Phase, counters: Mapping[str, int], measured: Mapping[str, np.ndarray]) -> None:
        if phase is Phase.RECALIBRATE:
            self._go_to(Phase.RECALIBRATE, replace(self.config, update_actor=False))
        elif phase is Phase.FINETUNE:
            self._go_to(Phase.FINETUNE, self.config)
        self.n_updates, self.n_recalibrations = counters["updates"], counters["recalibrations"]
        self._steps_before, self._learned_from = counters["steps_before"], counters["learned_from"]
        self.rollbacks = counters.get("rollbacks", 0)
        self.n_left_out, self._left_out_since = counters.get("left_out", 0), counters.get("left_out_since", 0)
        self._was_stopped = bool(counters.get("was_stopped", 0))
        self.errors = measured["errors"].tolist()
        self._gaps.gaps = measured["gaps"].tolist()


def _source(online: Transitions, offline: Transitions | None, config: AlgoConfig) -> human.Drawn:
    """What each mini-batch is drawn from, in the shares that the settings ask for."""
    return human.source(
        online, offline, offline_share=config.offline_share, intervention_share=config.intervention_share
    )
