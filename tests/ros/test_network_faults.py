"""arm_node and the twin on one host, what commands them on another, and a cable that loses and delays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from graphs import episodes_in, graph

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")
pytest.importorskip("o2o_sim.engine", reason="needs mujoco")

from arm_bench import twin_process
from patience import patient
from two_hosts import apart, two_hosts, why_not
from watcher import Watcher

from o2o_robot import overlay
from o2o_robot.jsonfile import read_lines
from o2o_robot.safety.reason import Reason
from o2o_robot.supervise import Supervisor

pytestmark = pytest.mark.ros
PACE = 0.4  # simulated seconds a second: room for a loaded machine
LOSS, DELAY_S = 0.5, 0.2  # simulated, each way: a command answers what was seen 0.4 s ago, the guard takes 0.25 s


@pytest.fixture(scope="module", autouse=True)
def _two_hosts_can_be_made() -> None:
    if reason := why_not():
        pytest.skip(reason)


@pytest.fixture(autouse=True)
def by_udp(monkeypatch: pytest.MonkeyPatch) -> None:
    """No shared memory: these two hosts have one /dev/shm, in which they would take each other's ports."""
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
    for name in overlay.PROFILE_VARIABLES:
        monkeypatch.setenv(name, "")


def test_with_half_of_it_lost_and_the_rest_late_the_arm_is_held_and_afterwards_nothing_is_missing(
    domain, tmp_path, monkeypatch
):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    apart(act_through_a_bad_cable, domain, tmp_path)


def act_through_a_bad_cable(domain: int, tmp_path: Path) -> None:
    robot_dir, policy_dir = tmp_path / "robot", tmp_path / "policy"
    changes = {
        "recorder_node": {"store": str(robot_dir / "episodes.zarr")},
        "teleop_node": {"patience_s": 60.0, "run_dir": str(policy_dir), "noise": 0.8},
    }
    story = graph("collect", robot_dir, changes, episodes=500, realtime_factor=PACE, max_steps=30).processes
    robot_dir.mkdir()
    whole = patient(story, robot_dir)
    there = [process for process in whole if process.name == "teleop_node"]
    here = [process for process in whole if process.name != "teleop_node"]
    with two_hosts(seed=3) as hosts, hosts.robot.inside(), Supervisor(here, robot_dir), Watcher(domain) as watcher:
        with hosts.policy.inside():
            commanding = Supervisor(there, policy_dir)
            commanding.__enter__()
        try:
            watcher.until(lambda: moves(watcher), 90.0, "an arm that is commanded from the other host")
            hosts.cable.worsen(loss=LOSS, delay_s=DELAY_S / PACE)
            let_pass(watcher, 1.0)
            watcher.executed.clear()
            bad_from_ns = watcher.state_ns
            let_pass(watcher, 4.0)
            assert_held(watcher, bad_from_ns)
            hosts.cable.heal()
            healed = len(watcher.executed)
            watcher.until(lambda: moves(watcher, since=healed), 90.0, "the next episode, the link being good again")
            enough = len(recorded(policy_dir)) + 1
            watcher.until(lambda: len(recorded(policy_dir)) >= enough, 60.0, "one more episode")
            watcher.until(lambda: stored(robot_dir).items() >= recorded(policy_dir).items(), 60.0, "every step stored")
            assert commanding.facts()[0]["exit_code"] is None
        finally:
            commanding.stop()
        assert hosts.cable.lost > 50
        outcomes = {line["outcome"] for line in read_lines(policy_dir / "episodes.jsonl") if line["n_steps"] < 30}
        assert outcomes <= {"incomplete", "success"}


def moves(watcher: Watcher, since: int = 0) -> bool:
    """Whether four actions in a row were let through."""
    return len(last := watcher.executed[since:][-4:]) == 4 and not any(e.reasons & Reason.HOLD for e in last)


def let_pass(watcher: Watcher, simulated_s: float) -> None:
    until_ns = watcher.state_ns + simulated_s * 1e9
    watcher.until(lambda: watcher.state_ns > until_ns, 60.0, f"{simulated_s} s of the robot's time")


def assert_held(watcher: Watcher, from_ns: int) -> None:
    """Nothing was followed, all of it being 400 ms old at least, and the target stayed where it was."""
    late = [Reason(executed.reasons) for executed in watcher.executed]
    assert all(reasons & Reason.HOLD for reasons in late), late
    targets = np.array([numbers[:3] for stamp_ns, numbers in watcher.targets if stamp_ns > from_ns])
    assert len(targets) > 20, "hardly a target was heard"
    assert np.ptp(targets, axis=0).max() < 0.002, f"the target moved by {np.ptp(targets, axis=0)} m"
    assert watcher.safety[-1].reasons & (Reason.STALE_COMMAND | Reason.SOFT_STOP | Reason.HOLD)


def recorded(run_dir: Path) -> dict[str, int]:
    """Episode id -> steps, as the session counted them."""
    return {
        line["id"]: line["n_steps"] for line in read_lines(run_dir / "episodes.jsonl") if line["termination"] != "fault"
    }


def stored(run_dir: Path) -> dict[str, int]:
    return {episode.meta["id"]: len(episode) for episode in episodes_in(run_dir / "episodes.zarr")}


# --- who is found ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("told", ["", "SUBNET"])
def test_a_node_is_found_from_another_host_only_where_somebody_has_said_so(domain, tmp_path, monkeypatch, told):
    monkeypatch.delenv("ROS_AUTOMATIC_DISCOVERY_RANGE")
    if told:
        monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", told)
    apart(look_for_the_twin, domain, tmp_path, told)


def look_for_the_twin(domain: int, tmp_path: Path, told: str) -> None:
    with two_hosts() as hosts, hosts.robot.inside(), Supervisor([twin_process(lockstep=True)], tmp_path):
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "SUBNET"
        with Watcher(domain) as watcher:  # on the same host, and open: who finds it could find the twin
            watcher.until(lambda: "twin_node" in watcher.node.get_node_names(), 60.0, "the twin, at home")
            with hosts.policy.inside():
                found = names_found(60.0, "watcher", *(["twin_node"] if told else []))
                found |= names_found(3.0, "watcher", "twin_node")
    assert "watcher" in found, f"the cable carries nothing: {found}"
    assert ("twin_node" in found) == bool(told), f"found {found}, told '{told}'"


def names_found(patience_s: float, *wanted: str) -> set[str]:
    """What a process of its own knows of: two nodes of one process would take each other for the same."""
    stranger = [sys.executable, str(Path(__file__).with_name("stranger.py")), str(patience_s), *wanted]
    return set(json.loads(subprocess.run(stranger, check=True, capture_output=True, text=True).stdout.splitlines()[-1]))
