"""A learner on another host whose cable is pulled out for a while gets every step once it is back."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import namespaces
import pytest
from graphs import facts_of, graph

from o2o_robot.jsonfile import read_lines
from o2o_robot.supervise import Supervisor

pytestmark = pytest.mark.ros
UTD, WARMUP, ONLINE, MAX_STEPS, CUT_S = 1, 30, 120, 15, 12.0


def until(condition: Callable[[], bool], timeout_s: float, what: str, supervisors: list[Supervisor]) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"{what}: not within {timeout_s} s"
        for supervisor in supervisors:
            supervisor.has_ended()  # raises where somebody died
        time.sleep(0.05)


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if why := namespaces.why_not():
        pytest.skip(why)
    profile = tmp_path / "udp_only.xml"
    profile.write_text(namespaces.UDP_ONLY)
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        monkeypatch.setenv(name, str(profile))
    with namespaces.Hosts() as made:
        yield made


def test_a_learner_on_another_host_misses_no_step_while_its_cable_is_out(
    domain, checkpoint, tmp_path, hosts, monkeypatch
):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")  # between these two hosts alone: nobody else is there
    run_dir, elsewhere = tmp_path / "run", tmp_path / "desk"
    changes = {
        "policy_node": {"while_learner_is_away": "go_on"},
        "learner_node": {"torch_threads": 1, "save_every": 20, "log_every": 1, "run_dir": str(elsewhere)},
    }
    settings = {"warmup_steps": WARMUP, "online_steps": ONLINE, "max_steps": MAX_STEPS, "utd": UTD}
    whole = graph("finetune", run_dir, changes, checkpoint=str(checkpoint), **settings)
    learner = Supervisor([p for p in whole.processes if p.name == "learner_node"], elsewhere)
    others = Supervisor([p for p in whole.processes if p.name != "learner_node"], run_dir)

    def n_steps(mode: str) -> int:
        lines = read_lines(run_dir / "episodes.jsonl")
        return sum(line["n_steps"] for line in lines if line["mode"] == mode)

    with hosts.inside("desk"):
        learner.__enter__()
    try:
        with hosts.inside("robot"):
            others.__enter__()
        both = [learner, others]
        until(lambda: n_steps("online") > 0, 240.0, "an online episode", both)
        hosts.unplug()
        pulled_s, said_before = time.monotonic(), n_steps("online")
        until(lambda: time.monotonic() - pulled_s > CUT_S / 2, 60.0, "a while", both)
        n_updates = len(list(read_lines(elsewhere / "learner.jsonl")))
        until(lambda: time.monotonic() - pulled_s > CUT_S, 60.0, "the cut", both)
        assert len(list(read_lines(elsewhere / "learner.jsonl"))) == n_updates, "nothing reaches it any more"
        assert n_steps("online") > said_before, "episodes go on meanwhile"
        hosts.plug_in()
        until(others.has_ended, 240.0, "the end", both)
    finally:
        learner.stop()
        others.stop()
    assert {one.exit_code for one in others.running if one.process.is_session} == {0}
    said = facts_of(run_dir, "policy_node")["steps_published"]
    learned = facts_of(elsewhere, "learner_node")
    assert said >= WARMUP + ONLINE
    assert learned["steps_received"] == said
    assert facts_of(run_dir, "policy_node")["steps_said_again"] > 0, "the middleware had forgotten it by then"
    assert learned["updates"] == UTD * (said - WARMUP)
    assert facts_of(run_dir, "recorder_node")["steps_stored"] == said
