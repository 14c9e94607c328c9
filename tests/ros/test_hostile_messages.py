"""A process that says spoiled messages on every topic: every node lives, says so, and works on as before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from graphs import facts_of, graph

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")

from o2o_msgs.action import RunEpisode
from rclpy.action import ActionClient
from std_srvs.srv import Trigger
from watcher import Watcher

pytestmark = pytest.mark.ros
MESSAGES = 500


def run_episode(watcher: Watcher, seed: int) -> RunEpisode.Result:
    """One on request, after the guard was reset and armed: spoiled joint states latch it, as they must.

    A request does not wait for the graph to be known: it is made again, as an operator would.
    """
    client = ActionClient(watcher.node, RunEpisode, "run_episode")
    watcher.until(client.server_is_ready, 90.0, "the server of run_episode")
    for _ in range(4):
        for name in ("reset", "arm"):
            watcher.call(Trigger, f"arm_node/{name}", Trigger.Request(), 90.0)
        sent = client.send_goal_async(RunEpisode.Goal(mode="eval", seed=seed, max_steps=5))
        watcher.until(sent.done, 90.0, "an accepted goal")
        assert sent.result().accepted
        result = sent.result().get_result_async()
        watcher.until(result.done, 120.0, "an episode's end")
        if result.result().result.termination != "fault":
            break
    client.destroy()
    return result.result().result


def test_eight_thousand_spoiled_messages_end_no_node_and_the_next_episode_is_as_good(domain, checkpoint, tmp_path):
    changes = {"policy_node": {"schedule": [""], "patience_s": 60.0}}
    with graph("finetune", tmp_path, changes, checkpoint=str(checkpoint)) as supervisor, Watcher(domain) as watcher:
        assert run_episode(watcher, 1).n_steps == 5
        speaker = [sys.executable, str(Path(__file__).with_name("hostile.py")), str(MESSAGES)]
        with subprocess.Popen(speaker, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as hostile:
            watcher.until(lambda: hostile.poll() is not None, 300.0, "the end of the hostile process")
            assert hostile.returncode == 0, hostile.stdout.read()
        assert [node["name"] for node in supervisor.facts() if node["exit_code"] is not None] == []
        after = run_episode(watcher, 2)
        assert (after.n_steps, after.outcome) == (5, "failure")
        assert [node["name"] for node in supervisor.facts() if node["exit_code"] is not None] == []
    refused = facts_of(tmp_path, "policy_node")
    assert refused["weights_refused"] >= MESSAGES // 10  # the topic keeps the newest alone
    assert refused["weights_accepted"] == 0
    for node in ("policy_node", "recorder_node", "learner_node"):
        assert "refused" in (tmp_path / "logs" / f"{node}.log").read_text(), node
