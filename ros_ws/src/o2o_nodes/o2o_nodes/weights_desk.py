"""Weights in, the policy's state out: the ROS side of `o2o_robot.acting`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from o2o_msgs import msg as m

from o2o_nodes import convert, qos
from o2o_nodes.node import STEADY, HouseNode
from o2o_nodes.sight import Look
from o2o_robot.acting import LOG, ActingWeights
from o2o_robot.diagnostics.probe_file import NAME as PROBE_FILE
from o2o_robot.diagnostics.probe_file import load_probe
from o2o_robot.errors import CheckpointError, ConfigError, DataError
from o2o_robot.jsonfile import append_line, read_lines
from o2o_robot.loop import EpisodeLog
from o2o_robot.never_worse import Comparison, NeverWorse, Rate, Rule, Standing
from o2o_robot.policy import Policy
from o2o_robot.types import Mode, Observation, Outcome
from o2o_robot.weights_door import Probes, WeightsDoor
from o2o_robot.weights_kept import KeptWeights

N_PROBES = 16
LOOKS_APART = 5  # steps between two looks that become probes: neighbours show the same
THEN = ("continue", "stop")


class WeightsDesk:
    """What policy_node does about weights. `began` and `ended` are told of every episode, `see` of every look.

    heard: how many publications of weights came, taken or refused.
    """

    def __init__(self, node: HouseNode, policy: Policy, checkpoint: Path) -> None:
        self._node, self._policy = node, policy
        self._then = node.setting("after_rollback", "continue", f"{' or '.join(THEN)}: what a session does after one")
        if self._then not in THEN:
            raise ConfigError(f"after_rollback is '{self._then}', it must be one of {', '.join(THEN)}")
        jump = node.setting("max_action_jump", 0.8, "of new weights, mean absolute on the probes; 0: any")
        self._door = WeightsDoor(policy, max_action_jump=jump)
        self.heard = 0
        self.must_stop = False  # the session shall end, since the policy had to go back
        self._looks: list[Observation] = []
        self._n_looks = 0
        self._take_probes(checkpoint.parent / PROBE_FILE)
        self.acting = ActingWeights(policy, self._door, self._kept(), self._watch(), log=self._log)
        self._take_up()
        self._state_out = node.create_publisher(m.PolicyState, "policy_state", qos.LATCHED)
        node.create_subscription(m.Weights, "weights", self._on_weights, qos.LATCHED)

    def start(self) -> None:
        self._node.create_timer(1.0, self._tell, clock=STEADY)
        self._tell()

    def see(self, look: Look) -> None:
        """Where no probes came with the checkpoint, the first looks of the run become some."""
        if self._door.has_probes:
            return
        if self._n_looks % LOOKS_APART == 0:
            self._looks.append(look.observation)
        self._n_looks += 1
        if len(self._looks) == N_PROBES:
            self._door.watch(Probes(*self._policy.looks(self._looks)))
            self._looks.clear()

    def began(self) -> None:
        self.acting.episode_began()

    def ended(self, mode: Mode, log: EpisodeLog) -> None:
        found = self.acting.episode_ended(mode, log.outcome, episode=log.episode)
        if found.standing is Standing.WORSE:
            self.must_stop = self._then == "stop"
            self._node.get_logger().error(self._went_back(found))
        self._tell()

    def relabelled(self, _before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """A person's late word: an episode's line of the journal before and after it."""
        is_open = after["outcome"] == Outcome.INCOMPLETE.value
        self.acting.relabelled(str(after["id"]), None if is_open else after["outcome"] == Outcome.SUCCESS.value)
        self._tell()

    def summary(self) -> dict[str, Any]:
        acting = self.acting
        return {
            "revision": self._policy.revision,
            "best_revision": acting.best_revision,
            "weights_accepted": acting.accepted,
            "weights_refused": acting.refused,
            "last_refusal": acting.last_refusal,
            "rollbacks": acting.rollbacks,
        }

    # --- settings ------------------------------------------------------------------------------------------------
    def _kept(self) -> KeptWeights:
        return KeptWeights(self._node.run_dir / "weights" if self._node.run_dir else None)

    def _watch(self) -> NeverWorse:
        setting = self._node.setting
        rule = Rule(
            margin=setting("worse_margin", 0.1, "loss of success that is none yet"),
            windows=tuple(setting("worse_windows", [20, 50], "latest episodes that are compared, each once full")),
            sure=setting("worse_sure", 0.997, "probability from which the policy counts as worse"),
        )
        n = setting("baseline_episodes", 0, "of the pretrained policy, beside the warm-up's; actions drawn at random")
        k = setting("baseline_successes", 0, "of these")
        if not 0 <= k <= n:
            raise ConfigError(f"baseline_successes is {k} of baseline_episodes {n}; it must lie in 0 to {n}")
        return NeverWorse(rule, Rate(k, n))

    def _take_probes(self, path: Path) -> None:
        """Those that pretraining left beside its checkpoint; a policy that cannot act on them takes its own looks."""
        if not path.is_file():
            return
        try:
            batch = load_probe(path)
            every = max(1, len(batch.action) // N_PROBES)
            images = {name: image[::every][:N_PROBES] for name, image in batch.images.items()}
            self._door.watch(Probes(images, batch.state[::every][:N_PROBES]))
        except (DataError, CheckpointError) as problem:
            self._node.get_logger().warning(f"{path}: {problem}; the first looks of this run are used")

    def _take_up(self) -> None:
        resume = self._node.setting("resume", False, "go on with the weights and counts that run_dir holds")
        if resume and self._node.run_dir:
            self.acting.recall(read_lines(self._node.run_dir / LOG))
        else:
            self.acting.began()

    def _log(self, event: Mapping[str, Any]) -> None:
        if self._node.run_dir is not None:
            append_line(self._node.run_dir / LOG, event)

    # --- messages ------------------------------------------------------------------------------------------------
    def _on_weights(self, message: m.Weights) -> None:
        """Take over newer weights, or refuse them and keep acting on the old."""
        self.heard += 1
        self._door.max_action_jump = self._node.get_parameter("max_action_jump").value  # an operator may open the door
        try:
            self.acting.offer(convert.offer(message))
        except CheckpointError as problem:
            self._node.get_logger().error(f"refused: {problem}", throttle_duration_sec=1.0)
            self._tell()

    def _went_back(self, found: Comparison) -> str:
        return (
            f"worse than before: {found.now.successes} of the last {found.now.n} episodes, before "
            f"{found.before.successes} of {found.before.n}; acting on revision {self._policy.revision} again"
            + ("; the session ends, see after_rollback" if self.must_stop else "")
        )

    def _tell(self) -> None:
        acting, known = self.acting, self.acting.comparison
        state = m.PolicyState(revision=self._policy.revision, best_revision=acting.best_revision)
        state.header.stamp = self._node.get_clock().now().to_msg()
        state.verdict = int(known.standing)
        for name, rate in (("before", known.before), ("now", known.now)):
            setattr(state, f"success_{name}", rate.share)
            setattr(state, f"success_{name}_low", rate.interval.lo)
            setattr(state, f"success_{name}_high", rate.interval.hi)
            setattr(state, f"episodes_{name}", rate.n)
        state.rollbacks, state.last_refusal = acting.rollbacks, acting.last_refusal
        state.weights_accepted, state.weights_refused = acting.accepted, acting.refused
        self._state_out.publish(state)
