"""Watches an online run: its probes, what the switch did, the alarms, and whether it learns as fast as it was asked."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from o2o_robot import config as settings
from o2o_robot.algorithms.config import AlgoConfig
from o2o_robot.algorithms.phases import Phase
from o2o_robot.data.replay import ReplayBuffer
from o2o_robot.diagnostics.health import Health, health, policy_age
from o2o_robot.diagnostics.monitor import Monitor, Reading
from o2o_robot.learner import Learner
from o2o_robot.types import Batch, Mode, Source, Step

N_ROWS = 256  # of each probe
NEWEST = 512  # transitions that the online probe is drawn from
REDRAW_EVERY = 10  # readings between two draws of the online probe
AGES_KEPT = 200


class Watch:
    """A monitor that knows the phases of a Learner.

        watch = Watch(learner, Monitor(folder=run_dir), offline=load_probe(path))
        for step in stream:
            learner.add_step(step, mode=mode)
            watch.add_step(step, mode=mode)
            while learner.updates_owed():
                metrics = learner.update()
                reading = watch.after_update()          # None unless one is due

    Probe "offline" is what pretraining saw, where given; "warmup" is drawn when the warm-up ends, and it is then that
    the jump of the targets is attributed; "start" holds the warm-up's first steps, for regret's two terms; "online" is
    drawn from the newest transitions. Nothing of the learner is
    changed, and no random number of it is drawn. A run that is taken up again has no attribution and no drift.
    """

    def __init__(self, learner: Learner, monitor: Monitor, *, offline: Batch | None = None) -> None:
        self.learner, self.monitor = learner, monitor
        ours, replay = learner.actor_critic, learner.replay
        self._pretrained = _config_before(learner)
        self._newest = ReplayBuffer(NEWEST, replay.spec, replay.n_action, replay.transform, replay.tail)
        self._starts = ReplayBuffer(2 * N_ROWS, replay.spec, replay.n_action, replay.transform, replay.tail)
        self._first: Step | None = None
        self._ages: deque[int] = deque(maxlen=AGES_KEPT)
        self._n_readings = 0
        self._sees_episode = False
        self._switched = learner.n_updates > 0  # taken up again: the switch lies behind
        if offline is not None:
            monitor.watch(ours, "offline", offline)

    def add_step(self, step: Step, *, mode: Mode | str | None = None) -> None:
        """Take in what the learner has just taken in.

        A learner that goes on from a checkpoint may stand within an episode whose first steps this watch has not seen:
        it begins with the next one.
        """
        self._sees_episode = self._sees_episode or step.index == 0
        if not self._sees_episode:
            return
        self._newest.add_step(step, mode=mode)
        if not self._switched:
            self._add_start(step)
        if step.executed is not None and step.executed.source is Source.POLICY:
            age = policy_age(np.array([self.learner.revision]), np.array([step.executed.revision]))
            self._ages.append(int(age[0]))
        if not self._switched and self.learner.phase is not Phase.WARMUP and len(self.learner.replay):
            self._switch()

    def after_update(self) -> Reading | None:
        """A reading where one is due."""
        ours = self.learner.actor_critic
        if not self.monitor.is_due(self.learner.n_updates):
            return None
        if self._n_readings % REDRAW_EVERY == 0 and self._newest.steps_added >= NEWEST + self.learner.warmup_steps:
            self.monitor.watch(ours, "online", self._draw(self._newest))
        self._n_readings += 1
        return self.monitor(ours, step=self.learner.n_steps, health=self.health())

    def health(self) -> Health:
        """Updates to data, age of the weights, what fills the replay (D8)."""
        learner, config = self.learner, self.learner.actor_critic.config
        learning = learner.n_steps - learner.warmup_steps if learner.phase is Phase.FINETUNE else 0
        return health(
            critic_steps=(learner.n_updates - learner.n_recalibrations) * config.critic_steps,
            steps_since_learning=learning,
            utd_asked=config.utd,
            ages=np.array(self._ages),
            counts=learner.replay.counts(),
        )

    def _switch(self) -> None:
        """The warm-up is over and no weight has moved yet."""
        self.monitor.watch(self.learner.actor_critic, "warmup", self._draw(self.learner.replay))
        if len(self._starts):
            starts = self._draw(self._starts)
            unknown = np.full_like(starts.mc_return, -np.inf)  # their episodes' returns are not those of one step
            self.monitor.watch(self.learner.actor_critic, "start", replace(starts, mc_return=unknown))
        self.monitor.switch(self.learner.actor_critic, self._pretrained, self.learner.config)
        self._switched = True

    def _add_start(self, step: Step) -> None:
        """Keep the first transition of an episode, as an episode of its own."""
        if step.index == 1 and self._first is not None and self._first.episode == step.episode:
            self._starts.add_step(self._first)
            self._starts.add_step(replace(step, executed=None))
        self._first = step if step.index == 0 else None

    def _draw(self, replay: ReplayBuffer) -> Batch:
        rng = np.random.default_rng((self.learner.seed, 1 << 41, self._n_readings))
        config = self.learner.config
        return replay.sample(N_ROWS, rng, chunk=config.chunk, frame_stack=config.frame_stack)


def _config_before(learner: Learner) -> AlgoConfig:
    """The pretraining's settings: the present ones with every change of phase taken back."""
    mapping = settings.as_mapping(learner.actor_critic.config)
    for change in reversed(learner.changes):
        mapping |= {name: before for name, (before, _) in change.changed.items()}
    return settings.build(AlgoConfig, mapping)
