"""A run whose guard had too much to do waits for a person, and goes on when that person arms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")
pytest.importorskip("o2o_sim.engine", reason="needs mujoco")

from graphs import facts_of, graph
from std_srvs.srv import Trigger
from watcher import Watcher

from o2o_robot.jsonfile import read_lines
from o2o_robot.supervise import Supervisor

pytestmark = pytest.mark.ros
NARROW = {
    "budget.interventions_per_episode": 2,
    "guard.workspace_min_m": [0.30, -0.30, 0.18],  # the expert goes down to the socket, and is stopped above it
}


def test_a_spent_budget_ends_the_episode_and_the_session_goes_on_when_a_person_arms(domain: int, tmp_path: Path):
    def ended() -> int:
        return len(list(read_lines(tmp_path / "episodes.jsonl")))

    whole = graph("collect", tmp_path, {"teleop_node": {"guard_patience_s": 120.0}}, episodes=2, max_steps=40).processes
    # without the twin's own file of parameters, which would win over these
    narrow = [
        replace(p, parameters={**p.parameters, **NARROW}, params_file="") if p.name == "arm_node" else p for p in whole
    ]
    with Supervisor(narrow, tmp_path) as run, Watcher(domain) as watcher:
        watcher.until(ended, 120.0, "the end of an episode")
        watcher.until(lambda: watcher.safety and watcher.safety[-1].state == "IDLE", 30.0, "the guard disarmed")
        assert "budget of interventions spent" in watcher.safety[-1].reason_names
        assert watcher.call(Trigger, "arm_node/arm", Trigger.Request()).success
        watcher.until(lambda: ended() == 2, 120.0, "the second episode")
        run.wait()
    first = next(iter(read_lines(tmp_path / "episodes.jsonl")))
    assert (first["termination"], first["outcome"]) == ("safety", "incomplete")
    story = [event["what"] for event in facts_of(tmp_path, "arm_node")["story"]]
    assert story[0].startswith("3 interventions of the guard in this episode, allowed 2")
    assert "armed again by a person" in story
