"""Weights spoiled on purpose, through real processes in lockstep: success drops, the policy goes back, all is well."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from graphs import facts_of, graph

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")

import torch
from o2o_msgs import msg as m
from watcher import Watcher

from o2o_nodes import qos
from o2o_robot.algorithms import checkpoint as checkpoints
from o2o_robot.algorithms.actor_critic import ActorCritic
from o2o_robot.algorithms.phases import Phase
from o2o_robot.jsonfile import read_lines
from o2o_robot.policy import weights_bytes
from o2o_robot.supervise import Supervisor

pytestmark = pytest.mark.ros
WARMUP, ONLINE, SPOILED_AFTER = 10, 36, 12
WIDE_M = 0.25  # a hole so wide that going down is the whole task


def going(checkpoint: Path, z: float) -> ActorCritic:
    """A policy that moves up (z > 0) or down, whatever it sees."""
    learner = checkpoints.load(checkpoint)
    head = learner.networks.actor.head
    with torch.no_grad():
        for layer in (head.mean, head.spread):
            layer.weight.zero_()
        head.mean.bias.copy_(torch.tensor([0.0, 0.0, z]))
        head.spread.bias.fill_(-8.0)
    return learner


@pytest.fixture(scope="module")
def good(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a policy that goes down."""
    folder = tmp_path_factory.mktemp("good") / "checkpoint"
    return checkpoints.save(folder, going(checkpoint, -3.0), phase=Phase.PRETRAIN, provenance={})


class SyntheticLearner:
    """In learner_node's place: it improves nothing, spoils once, and follows the policy back."""

    def __init__(self, watcher: Watcher, checkpoint: Path) -> None:
        self.states: list[m.PolicyState] = []
        self._checkpoint, self._revision = checkpoint, 0
        self._weights_out = watcher.node.create_publisher(m.Weights, "weights", qos.LATCHED)
        self._state_out = watcher.node.create_publisher(m.LearnerState, "learner_state", qos.LATCHED)
        watcher.node.create_subscription(m.PolicyState, "policy_state", self.states.append, qos.LATCHED)
        self.phase = "warmup"
        watcher.node.create_timer(0.2, lambda: self._state_out.publish(m.LearnerState(phase=self.phase)))

    def send(self, z: float, *, rollbacks: int = 0) -> None:
        self._revision += 1
        networks = going(self._checkpoint, z).networks
        data = weights_bytes(networks, {"rollbacks": str(rollbacks)})
        message = m.Weights(revision=self._revision, learner_step=self._revision, data=data)
        message.sha256 = hashlib.sha256(data).hexdigest()
        self._weights_out.publish(message)


def ended(watcher: Watcher, mode: str) -> int:
    return sum(event.kind == m.EpisodeEvent.END and event.mode == mode for event in watcher.events)


def has_left(supervisor: Supervisor) -> bool:
    """Whether policy_node ended, whatever its exit code. Meanwhile the synthetic learner must be spun."""
    return supervisor.facts()[-1]["exit_code"] is not None


def test_weights_that_fail_act_for_less_than_a_window_and_the_best_ones_again_after(domain, good, tmp_path):
    schedule = [f"warmup episodes={WARMUP}", f"online episodes={ONLINE} first_seed=1000"]
    changes = {"policy_node": {"schedule": schedule, "worse_windows": [10]}}
    settings = {"max_steps": 10, "clearance_m": WIDE_M}
    supervisor = graph("evaluate", tmp_path, changes, checkpoint=str(good), **settings)
    with Watcher(domain) as watcher:
        learner = SyntheticLearner(watcher, good)
        with supervisor:
            watcher.until(lambda: ended(watcher, "warmup") == WARMUP, 120.0, "the warm-up")
            learner.phase = "finetune"
            learner.send(-2.5)
            watcher.until(lambda: ended(watcher, "online") >= SPOILED_AFTER, 120.0, "good episodes")
            learner.send(3.0)
            watcher.until(lambda: learner.states[-1].rollbacks == 1, 120.0, "going back")
            learner.send(3.0)  # on its way before the learner heard: refused
            watcher.until(lambda: learner.states[-1].weights_refused == 1, 60.0, "a refusal")
            learner.send(-2.0, rollbacks=1)
            watcher.until(lambda: has_left(supervisor), 120.0, "the session's end")

    told = list(read_lines(tmp_path / "policy.jsonl"))
    back = next(i for i, line in enumerate(told) if line["event"] == "went_back")
    assert told[back]["to"] < 2 == told[back]["from"]
    before, after = (
        [line["outcome"] for line in part if line["event"] == "episode"] for part in (told[:back], told[back:])
    )
    failed = before.count("failure")
    assert before[: WARMUP + SPOILED_AFTER - 1] == ["success"] * (WARMUP + SPOILED_AFTER - 1)
    assert 5 <= failed <= 10
    assert set(before[-failed:]) == {"failure"}
    assert after
    assert set(after) == {"success"}
    facts = facts_of(tmp_path, "policy_node")
    assert (facts["rollbacks"], facts["weights_refused"]) == (1, 1)
    assert "has not gone back" in facts["last_refusal"]
    assert {state.verdict for state in learner.states} >= {m.PolicyState.UNDECIDED, m.PolicyState.WORSE}


def test_the_learner_goes_back_with_the_policy_and_both_go_on(domain, checkpoint, tmp_path):
    """An untrained policy that is told it once succeeded always: it is worse as soon as a window is full."""
    baseline = {"baseline_episodes": 40, "baseline_successes": 40, "worse_windows": [3]}
    changes = {"policy_node": baseline, "learner_node": {"publish_every": 5, "copy_every": 10, "torch_threads": 1}}
    settings = {"warmup_steps": 8, "online_steps": 40, "max_steps": 8}
    with graph("finetune", tmp_path, changes, checkpoint=str(checkpoint), **settings) as supervisor:
        supervisor.wait()
    told = list(read_lines(tmp_path / "policy.jsonl"))
    back = [i for i, line in enumerate(told) if line["event"] == "went_back"]
    assert back
    assert told[back[0]]["to"] == 0
    assert any(line["event"] == "accepted" for line in told[back[0] :]), (
        "the learner followed, and its weights are taken"
    )
    assert "learning goes on from revision" in (tmp_path / "logs" / "learner_node.log").read_text()
    assert list((tmp_path / "copies").iterdir())


def test_a_session_told_to_stop_after_going_back_ends_with_one_clear_line(domain, checkpoint, tmp_path):
    baseline = {"baseline_episodes": 40, "baseline_successes": 40, "worse_windows": [3], "after_rollback": "stop"}
    schedule = {"schedule": ["online episodes=30"]}
    changes = {"policy_node": {**baseline, **schedule}}
    supervisor = graph("evaluate", tmp_path, changes, checkpoint=str(checkpoint), max_steps=4)
    with Watcher(domain) as watcher:
        SyntheticLearner(watcher, checkpoint).phase = "finetune"
        with supervisor:
            watcher.until(lambda: has_left(supervisor), 120.0, "the session's end")
    assert supervisor.facts()[-1]["exit_code"] == 1
    assert len(list(read_lines(tmp_path / "episodes.jsonl"))) == 3
    assert "worse than before: 0 of the last 3 episodes" in (tmp_path / "logs" / "policy_node.log").read_text()
