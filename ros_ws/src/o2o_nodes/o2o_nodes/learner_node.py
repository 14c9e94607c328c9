"""Learns while the robot works: steps in, updates at a stated ratio, revisioned weights out, checkpoints on disk.

One update a timer firing: between two updates the executor takes in the steps that came, so none waits long.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from o2o_msgs import msg as m

from o2o_nodes import convert, qos
from o2o_nodes.learner_label import LearnerLabel
from o2o_nodes.learner_rollback import LearnerRollback
from o2o_nodes.node import STEADY, HouseNode, run
from o2o_nodes.step_in import StepIn
from o2o_robot import presets
from o2o_robot.algorithms import checkpoint
from o2o_robot.algorithms.config import ARCHITECTURE
from o2o_robot.algorithms.switch_plan import SwitchPlan
from o2o_robot.data.coreset import choose_episodes
from o2o_robot.data.provenance import versions
from o2o_robot.data.replay import ReplayBuffer
from o2o_robot.data.store import EpisodeStore
from o2o_robot.delivery import Turnstile
from o2o_robot.diagnostics.monitor import Monitor
from o2o_robot.diagnostics.probe_file import NAME as PROBE_FILE
from o2o_robot.diagnostics.probe_file import load_probe
from o2o_robot.errors import CheckpointError, DataError
from o2o_robot.jsonfile import append_line
from o2o_robot.learner import Learner
from o2o_robot.nets.memory import keep_freed_memory
from o2o_robot.presets import preset
from o2o_robot.trackers.live_rerun import LiveRerun
from o2o_robot.trackers.live_value import q_of
from o2o_robot.trackers.of_run import follower
from o2o_robot.vitals import Value, scalars
from o2o_robot.watch import Watch

SAVE_EVERY_STEPS = 2000  # where no update is owed for so long (a long warm-up), the session's disk must not fill


class LearnerNode(HouseNode):
    def __init__(self) -> None:
        super().__init__("learner_node")

    def open(self) -> None:
        torch.set_num_threads(self.setting("torch_threads", 2, "threads for training"))
        keep_freed_memory()
        self._publish_every = self.setting("publish_every", 20, "updates between two publications of weights")
        self._save_every = self.setting("save_every", 500, "updates between two checkpoints")
        self._log_every = self.setting("log_every", 20, "updates between two lines of learner.jsonl")
        self._learner = self._make_learner()
        self._watch = self._make_watch()
        self._shown = ExitStack()  # curves and the live view, until the node closes
        self._live = self._show()
        pretrained = Path(self.setting("checkpoint", "", "folder of the pretrained checkpoint"))
        self._rollback = LearnerRollback(self, self._learner, pretrained=pretrained)
        self._labels = LearnerLabel(self, self._learner)
        self._steps_refused = 0
        self._update_s = 0.0
        self._published = -1
        self._in_order = self.setting(
            "in_order", self.lockstep, "take a step in once the updates owed for those before it are done"
        )
        self._inbox: deque[m.Step] = deque()
        self._weights_out = self.create_publisher(m.Weights, "weights", qos.LATCHED)
        self._state_out = self.create_publisher(m.LearnerState, "learner_state", qos.LATCHED)
        self._steps = StepIn(
            self, self._on_step, durable=lambda: self._saved, turnstile=Turnstile(*self._where_saved())
        )
        self._taken = self._saved = self._steps.turnstile.expected
        if not self._resumes and self._folder.is_dir():
            self._save()  # another run's: a restart of ours must not go on from that
        self._steps.listen()

    def start(self) -> None:
        self._steps.start()
        if self._learner.n_updates:  # taken up again: the policy still acts on the pretrained weights
            self._publish_weights()
        self.create_timer(0.001, self._work, clock=STEADY)
        self.create_timer(1.0, self._tell, clock=STEADY)
        self._tell()

    def stop(self) -> None:
        if self._learner.n_steps:
            self._save()

    def close(self) -> None:
        self._shown.close()

    def summary(self) -> dict[str, Any]:
        learner = self._learner
        return {
            "steps_received": learner.n_steps,
            "warmup_steps": learner.warmup_steps,
            "updates": learner.n_updates,
            "steps_refused": self._steps_refused,
            "revision": learner.revision,
            "ms_per_update": 1e3 * self._update_s / max(1, learner.n_updates),
            "phases": [str(change) for change in learner.changes],
            "steps_left_out": learner.n_left_out,
            "times_mended": self._rollback.mended,
            "episodes_relabelled": self._labels.relabelled,
            **self._steps.summary(),
        }

    def readings(self) -> dict[str, Value]:
        owed = {"updates owed": float(self._learner.updates_owed()), "phase": self._learner.phase.value}
        return scalars(self.summary()) | owed

    def _make_learner(self) -> Learner:
        folder = self.setting("checkpoint", "", "folder of the pretrained checkpoint")
        name = self.setting("preset", "wsrl", "algorithm of the fine-tuning")
        own = preset(name)
        config = replace(
            own,
            utd=float(self.setting("utd", 1, "critic updates to environment steps")),
            anchor_weight=self._or_preset("anchor_weight", own.anchor_weight, "divergence from the pretrained policy"),
            offline_share=self._or_preset("offline_share", own.offline_share, "share of mini-batches that is retained"),
            intervention_share=self.setting("intervention_share", 0.0, "share of mini-batches that a person moved"),
        )
        plan = self._plan(presets.plan(name))
        capacity = self.setting("capacity_steps", 50_000, "transitions the replay holds")
        seed = self.setting("seed", 0, "of the choice of rows")
        resume = self._resumes = (
            self.setting("resume", False, "go on from the last checkpoint in run_dir") and self._folder.is_dir()
        )
        if not (folder or resume):
            raise CheckpointError("learner_node has nothing to start from; set the parameter checkpoint")
        facts = checkpoint.read_facts(self._folder if resume else folder)
        pretrained = {name: getattr(facts.config, name) for name in ARCHITECTURE}  # the networks are what they are
        config = replace(config, **pretrained)
        offline = self._retained(facts, seed)
        if resume:
            learner = Learner.resume(self._folder, config=config, plan=plan, offline=offline)
        else:
            replay = ReplayBuffer(capacity, facts.spec, facts.n_action, facts.transform)
            learner = Learner(checkpoint.load(folder), replay, config=config, plan=plan, offline=offline, seed=seed)
        learner.learns_from_latched = self.setting(
            "learn_from_latched", False, "learn from episodes that the guard ended"
        )
        return learner

    def _make_watch(self) -> Watch | None:
        """What watches the learning, with the batch that pretraining left beside its checkpoint."""
        every = self.setting("watch_every", 200, "updates between two readings of the diagnostics; 0 for none")
        if not every or self.run_dir is None:
            return None
        probe = Path(self.setting("checkpoint", "", "folder of the pretrained checkpoint")).parent / PROBE_FILE
        offline = load_probe(probe) if probe.is_file() else None
        return Watch(self._learner, Monitor(every=every, folder=self.run_dir), offline=offline)

    def _show(self) -> LiveRerun | None:
        """Begin the curves of this run; gives what shows steps as they come, where that is asked for."""
        wandb = self.setting("wandb", False, "curves at Weights & Biases too")
        where = self.setting("rerun", "", "show steps in Rerun: a viewer's address, or a file that ends in .rrd")
        if self.run_dir is not None:
            logs, warn = ("learner.jsonl",), self.get_logger().warning
            curves = follower(self.run_dir, "learner", logs, wandb=wandb, warn=warn, resume=self._resumes)
            self._shown.enter_context(curves)
        if not where:
            return None
        acting = self._learner.actor_critic
        name = self.run_dir.name if self.run_dir is not None else "run"
        live = LiveRerun(where, name=name, cameras=acting.spec.cameras, q=q_of(acting))
        return self._shown.enter_context(live)

    def _plan(self, own: SwitchPlan) -> SwitchPlan:
        return replace(
            own,
            warmup_steps=self.setting("warmup_steps", 400, "steps of the frozen policy before any update, at most"),
            warmup_precision=self.setting("warmup_precision", 0.0, "end the warm-up once Q's gap is known so well"),
            recalibrate_updates=int(
                self._or_preset("recalibrate_updates", own.recalibrate_updates, "updates of the critic alone, at most")
            ),
            anchor_updates=int(
                self._or_preset("anchor_updates", own.anchor_updates, "updates over which anchor_weight falls to 0")
            ),
        )

    def _or_preset(self, name: str, own: float, what: str) -> float:
        """The parameter, or what the preset says where it is below zero."""
        value = self.setting(name, type(own)(-1), f"{what}; -1: as the preset has it")
        return own if value < 0 else value

    def _retained(self, facts: checkpoint.Facts, seed: int) -> ReplayBuffer | None:
        """The offline data that are kept, or None."""
        path = self.setting("offline", "", "episode store to retain data from")
        fraction = self.setting("coreset", 1.0, "share of the store that is retained, by whole episodes")
        if not path:
            return None
        with EpisodeStore.open(path) as store:
            lengths = [store.length(i) for i in range(len(store))]
            chosen = choose_episodes(lengths, fraction, np.random.default_rng(seed))
            return ReplayBuffer.from_store(store, facts.spec, transform=facts.transform, indices=chosen)

    @property
    def _folder(self) -> Path:
        return (self.run_dir or Path(".")) / "checkpoint"

    def _where_saved(self) -> tuple[str, int]:
        """Run of the checkpoint that is gone on from, and the number of the step that is due."""
        if not self._resumes:
            return "", 0
        run = str(checkpoint.read_provenance(self._folder).get("run", ""))
        return run, checkpoint.read_facts(self._folder).counters.get("next_number", 0)

    def _on_step(self, message: m.Step) -> None:
        self._inbox.append(message)
        if not self._in_order:
            self._take_next()

    def _take_next(self) -> None:
        message = self._inbox.popleft()
        self._taken = message.number + 1
        try:
            step = convert.step(message)
            self._learner.add_step(step, mode=message.mode)
            if self._watch is not None:
                self._watch.add_step(step, mode=message.mode)
            if self._live is not None:
                self._live.step(step)
        except DataError as problem:
            self._steps_refused += 1
            self.get_logger().error(f"step refused: {problem}")
        if not self._inbox:
            self._tell()

    def _work(self) -> None:
        """One update if one is owed, else the steps that wait: what is learned is a function of the steps alone.

        In real time, where a learner may never catch up, steps do not wait and each update sees all that came.
        """
        while self._inbox and not self._learner.updates_owed():
            self._take_next()
        if self._learner.updates_owed():
            self._update()
        elif self._taken - self._saved >= SAVE_EVERY_STEPS:
            self._save()

    def _update(self) -> None:
        started = time.perf_counter()
        metrics = self._learner.update()
        self._update_s += time.perf_counter() - started
        self._rollback.after_update()
        n = self._learner.n_updates
        reading = self._watch.after_update() if self._watch is not None else None
        if n % self._log_every == 0 or reading is not None:
            self._log({name: float(value) for name, value in metrics.items()} | (reading.metrics if reading else {}))
        for alarm in reading.fresh if reading else ():
            self.get_logger().warning(str(alarm))
        if n % self._publish_every == 0:
            self._publish_weights()
        if n % self._save_every == 0:
            self._save()
        if not self._learner.updates_owed():
            self._tell()

    def _publish_weights(self) -> None:
        self._rollback.mend()
        snapshot = self._learner.snapshot()
        if snapshot.revision == self._published:
            return
        self._published = snapshot.revision
        message = m.Weights(revision=snapshot.revision, learner_step=self._learner.n_updates, sha256=snapshot.sha256)
        message.header.stamp = self.get_clock().now().to_msg()
        message.data = snapshot.data
        self._weights_out.publish(message)

    def _tell(self) -> None:
        learner = self._learner
        state = m.LearnerState(phase=learner.phase.value, steps_received=learner.n_steps, updates=learner.n_updates)
        state.header.stamp = self.get_clock().now().to_msg()
        state.steps_warmup = min(learner.n_steps, learner.warmup_steps)
        state.updates_owed, state.revision = learner.updates_owed(), learner.revision
        self._state_out.publish(state)

    def _log(self, metrics: dict[str, float]) -> None:
        if self.run_dir is not None:
            line = {"update": self._learner.n_updates, "step": self._learner.n_steps, **metrics}
            append_line(self.run_dir / "learner.jsonl", line)

    def _save(self) -> None:
        if self.run_dir is not None:
            self._rollback.mend()
            provenance = {**versions(), "run": self._steps.turnstile.run}
            self._learner.save(self._folder, provenance=provenance, counters={"next_number": self._taken})
            self._saved = self._taken


def main() -> None:
    run(LearnerNode)
