"""A killed process: the arm holds, what was committed stays whole, and the run comes down with the dead one's name."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from graphs import episodes_in, facts_of, graph

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")

from watcher import Watcher

from o2o_nodes import convert
from o2o_robot.errors import GraphError
from o2o_robot.jsonfile import read_lines
from o2o_robot.safety.reason import STOPPING, Reason
from o2o_robot.supervise import Supervisor

pytestmark = pytest.mark.ros
COMMAND_PERIOD_NS = 100_000_000


def pid_of(supervisor: Supervisor, name: str) -> int:
    return next(one.popen.pid for one in supervisor.running if one.process.name == name)


def children_of(pid: int) -> dict[str, int]:
    """Name of the executable -> pid, of every child of a process."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        found |= {Path(word.decode()).name: int(child) for word in words[:2]}
    return found


def in_the_middle_of_a_later_episode(watcher: Watcher) -> bool:
    """Whether four commands were heard of an episode that is not the first and that was watched from its start.

    Told by stamps: what is heard may lag behind, and discovery may give one topic seconds after another.
    """
    starts_ns = [convert.stamp_ns(event.header.stamp) for event in watcher.events if event.kind == event.START]
    if len(starts_ns) < 2 or not (watcher.safety and watcher.targets and watcher.poses):
        return False
    answered_ns = [convert.stamp_ns(executed.header.stamp) for executed in watcher.executed]
    in_it = sum(stamp_ns >= starts_ns[-1] for stamp_ns in answered_ns)
    return watcher.poses[0][0] < starts_ns[-1] - COMMAND_PERIOD_NS and in_it >= 4


def assert_holds_in_time(targets: list[tuple[int, np.ndarray]]) -> None:
    """Two command periods after the last motion that was asked for, the target changes no more.

    Give or take how late the guard's own watch came on this machine, as its targets' stamps tell.
    """
    stamps = np.array([stamp for stamp, _ in targets])
    poses = np.array([pose for _, pose in targets])
    changes = np.flatnonzero(np.abs(np.diff(poses, axis=0)).max(axis=1) > 0) + 1
    asked, held = changes[-2:]  # the last change is the hold itself: from what was asked to where the arm is
    late_ns = int(np.diff(stamps[asked:]).max())
    assert stamps[held] - stamps[asked] <= 2 * COMMAND_PERIOD_NS + late_ns
    assert stamps[-1] - stamps[held] > 5 * COMMAND_PERIOD_NS, "not watched for long enough"


def test_the_arm_holds_when_what_commands_it_is_killed_in_the_middle_of_an_episode(domain, tmp_path):
    recorder = {"store": str(tmp_path / "episodes.zarr")}
    supervisor = graph("collect", tmp_path, {"recorder_node": recorder}, episodes=50, realtime_factor=1.0)
    with supervisor, Watcher(domain) as watcher:
        watcher.until(lambda: in_the_middle_of_a_later_episode(watcher), 90.0, "the middle of an episode")
        os.kill(pid_of(supervisor, "teleop_node"), signal.SIGKILL)
        watcher.until(lambda: watcher.safety[-1].state == "SOFT_STOP", 10.0, "the guard's soft stop")
        # on a loaded machine the guard's own lateness may stop it first
        assert watcher.safety[-1].reasons & (Reason.STALE_COMMAND | STOPPING)
        stopped_ns = watcher.targets[-1][0]
        enough_ns = stopped_ns + 8 * COMMAND_PERIOD_NS
        watcher.until(lambda: watcher.targets[-1][0] > enough_ns, 30.0, "what the arm is told afterwards")
        watcher.until(lambda: watcher.poses[-1][0] > enough_ns, 30.0, "where the arm is afterwards")
        assert_holds_in_time(watcher.targets)
        stamps = [stamp for stamp, _ in watcher.poses]
        assert all(a < b for a, b in itertools.pairwise(stamps)), "a reset scene shares no stamp with the one before"
        with pytest.raises(GraphError, match="teleop_node was killed by SIGKILL"):
            supervisor.wait()

    assert all(one.exit_code == 0 for one in supervisor.running if one.process.name != "teleop_node")
    committed = list(read_lines(tmp_path / "episodes.jsonl"))
    stored = episodes_in(tmp_path / "episodes.zarr")
    assert [episode.meta["id"] for episode in stored] == [line["id"] for line in committed]
    assert [len(episode) for episode in stored] == [line["n_steps"] for line in committed]
    discarded = facts_of(tmp_path, "recorder_node")["episodes_discarded"]
    assert all("cut short" in why for why in discarded.values())


@pytest.mark.parametrize("victim", ["recorder_node", "twin_node"])
def test_the_command_line_ends_with_1_and_names_the_node_that_died(domain, tmp_path, victim):
    words = ["up", "collect", "--run-dir", str(tmp_path), "--episodes", "500", "--image-size", "16"]
    command = [sys.executable, "-m", "o2o_robot.cli", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        deadline_s = time.monotonic() + 60.0
        while not (tmp_path / "episodes.jsonl").exists():
            assert time.monotonic() < deadline_s, "no episode within 60 s"
            assert running.poll() is None
            time.sleep(0.02)
        nodes = children_of(running.pid)
        os.kill(nodes[victim], signal.SIGKILL)
        said = running.communicate(timeout=60)[1]
    assert running.returncode == 1
    assert f"{victim} was killed by SIGKILL" in said
    assert not any(Path(f"/proc/{pid}").exists() for pid in nodes.values())
