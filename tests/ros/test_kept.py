"""An episode counts once it is on disk: a recorder that dies while demonstrations are collected costs none of them."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from graphs import graph, run_to_end

from o2o_robot.errors import GraphError
from o2o_robot.journal import CUT_SHORT
from o2o_robot.jsonfile import read_lines
from o2o_robot.supervise import Supervisor

pytestmark = pytest.mark.ros
SETTINGS = {"episodes": 4, "first_seed": 5, "max_steps": 15}


def bags_in(run_dir: Path) -> set[str]:
    return {bag.stem for bag in (run_dir / "bags").glob("*.mcap")}


def counted(run_dir: Path) -> list[dict]:
    return [line for line in read_lines(run_dir / "episodes.jsonl") if line["termination"] not in CUT_SHORT]


def kill_the_recorder_after_an_episode(running: Supervisor) -> None:
    recorder = next(one for one in running.running if one.process.name == "recorder_node")

    def kill() -> None:
        if counted(running.run_dir) and recorder.exit_code is None:
            recorder.popen.send_signal(signal.SIGKILL)

    running.wait(tell=kill, every_s=0.01)


def test_what_a_dead_recorder_did_not_write_is_not_counted_and_is_collected_when_the_run_goes_on(domain, tmp_path):
    with graph("collect", tmp_path, **SETTINGS) as running, pytest.raises(GraphError, match="recorder_node"):
        kill_the_recorder_after_an_episode(running)
    assert 0 < len(counted(tmp_path)) < 4
    assert {line["id"] for line in counted(tmp_path)} <= bags_in(tmp_path)
    run_to_end(graph("collect", tmp_path, resume=True, **SETTINGS))
    assert [line["seed"] for line in counted(tmp_path)] == [5, 6, 7, 8]
    assert {line["id"] for line in counted(tmp_path)} == bags_in(tmp_path)


def test_an_episode_that_nobody_confirms_ends_the_session_and_is_discarded(domain, tmp_path):
    impatient = {"teleop_node": {"recorder_patience_s": 0.5}}
    with graph("collect", tmp_path, impatient, **SETTINGS) as running:
        recorder = next(one for one in running.running if one.process.name == "recorder_node")

        def freeze() -> None:
            if counted(tmp_path):
                recorder.popen.send_signal(signal.SIGSTOP)

        began_s = time.monotonic()
        with pytest.raises(GraphError, match="teleop_node"):
            running.wait(tell=freeze, every_s=0.01)
        recorder.popen.send_signal(signal.SIGCONT)
    assert time.monotonic() - began_s < 120
    (lost,) = [line for line in read_lines(tmp_path / "episodes.jsonl") if line["termination"] in CUT_SHORT]
    assert lost["discarded"] is True
    assert "did not say within 0.5 s" in (tmp_path / "logs" / "teleop_node.log").read_text()
