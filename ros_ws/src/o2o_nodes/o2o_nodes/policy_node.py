"""The policy at work: sees, acts, runs episodes, takes over new weights between two steps, and goes back to old ones.

To put your own policy here, write an Actor (session.py): `begin` an episode, `act` on a look.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from o2o_nodes.learner_watch import LearnerWatch
from o2o_nodes.node import HouseNode, run
from o2o_nodes.policy_actor import PolicyActor
from o2o_nodes.session import Session
from o2o_nodes.weights_desk import WeightsDesk
from o2o_robot.diagnostics.interventions import Advice, Hands, facts, hands
from o2o_robot.errors import CheckpointError
from o2o_robot.jsonfile import read_lines
from o2o_robot.loop import EpisodeLog
from o2o_robot.policy import Policy
from o2o_robot.trackers.of_run import follower
from o2o_robot.types import Mode, Outcome
from o2o_robot.vitals import Value, scalars


class PolicyNode(HouseNode):
    def __init__(self) -> None:
        super().__init__("policy_node")

    def open(self) -> None:
        torch.set_num_threads(self.setting("torch_threads", 1, "threads for inference"))
        checkpoint = self.setting("checkpoint", "", "folder of the policy's checkpoint")
        if not checkpoint:
            raise CheckpointError("policy_node has no policy; set the parameter checkpoint to a checkpoint's folder")
        seed = self.setting("seed", 0, "of the actions' randomness")
        policy = Policy.load(checkpoint)
        self._weights = WeightsDesk(self, policy, Path(checkpoint))
        self._actor = PolicyActor(policy, seed=seed, began=self._weights.began, seen=self._weights.see)
        self._learner = LearnerWatch(
            self,
            received=lambda: self._session.steps.n_transitions,
            weights_heard=lambda: self._weights.heard > 0,
        )
        self._session = Session(
            self,
            self._actor,
            ready=self._may_begin,
            over=self._learner.is_warm,
            ended=self._ended,
            relabelled=self._weights.relabelled,
            n_action=policy.n_action,
        )
        self._curves = self._make_curves()
        self._advice = Advice(hands(read_lines(self.run_dir / "episodes.jsonl")) if self.run_dir is not None else ())

    def start(self) -> None:
        self._weights.start()
        self._session.start()

    def close(self) -> None:
        self._session.close()
        self._curves.close()

    def summary(self) -> dict[str, Any]:
        latency_ms = np.array(self._actor.latency_s or [0.0]) * 1e3
        return {
            **self._session.summary(),
            **self._weights.summary(),
            "people": facts(self._advice.episodes),
            "act_ms": {"p50": np.percentile(latency_ms, 50), "p99": np.percentile(latency_ms, 99)},
        }

    def readings(self) -> dict[str, Value]:
        return scalars({**self._session.summary(), **self._weights.summary()})

    def _ended(self, mode: Mode, log: EpisodeLog) -> None:
        """The watch over the policy counts the episode, and a person may have to hear how to help better."""
        self._weights.ended(mode, log)
        if not log.is_whole or log.is_discarded:
            return
        is_success = log.outcome is Outcome.SUCCESS
        episode = Hands(mode.value, log.n_steps, log.steps_human, log.interventions, is_success)
        if (hint := self._advice.add(episode)) is not None:
            self.get_logger().warning(hint.words)

    def _make_curves(self) -> ExitStack:
        """Begin the curves of episodes and of the watch over the policy; they end with the stack."""
        wandb = self.setting("wandb", False, "curves at Weights & Biases too")
        shown = ExitStack()
        if self.run_dir is not None:
            resume = self.setting("resume", False, "go on with the run in run_dir where it stood")
            logs, warn = ("episodes.jsonl", "policy.jsonl"), self.get_logger().warning
            shown.enter_context(follower(self.run_dir, "policy", logs, wandb=wandb, warn=warn, resume=resume))
        return shown

    async def _may_begin(self, mode: Mode, *, at_the_end: bool = False) -> bool:
        """Whether another episode may begin: not once the session has to stop, nor where the learner never comes."""
        return not self._weights.must_stop and await self._learner.kept_up(mode, at_the_end=at_the_end)


def main() -> None:
    run(PolicyNode)
