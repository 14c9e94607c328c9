"""The console's process alone, without a browser: it comes back at its place, and its stop is heard by topic."""

from __future__ import annotations

import os
import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("fastapi", reason="needs fastapi")

from std_msgs.msg import Bool
from watcher import Watcher

from o2o_nodes import qos
from o2o_robot.console.place import read_address
from o2o_robot.graph import Process
from o2o_robot.supervise import Supervisor

pytestmark = pytest.mark.ros
PATIENCE_S = 120.0


@pytest.fixture
def run(tmp_path, domain):
    parameters = {"run_dir": str(tmp_path), "port": 0, "lockstep": True, "use_sim_time": False}
    running = Supervisor([Process("console_node", parameters, restarts=3)], tmp_path)
    with running, Watcher(domain) as watcher:
        watcher.until(lambda: answers(tmp_path, "api/state"), PATIENCE_S, "a console")
        yield running, watcher


def answers(folder: Path, path: str, method: str = "GET") -> tuple[int, str] | None:
    """Status and text; None while nobody answers."""
    url = read_address(folder).get("url", "")
    try:
        asked = urllib.request.Request(url.replace("/?", f"/{path}?"), method=method)
        with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    except (OSError, ValueError):
        return None


def test_a_console_that_was_killed_comes_back_with_the_address_that_open_pages_know(run):
    running, watcher = run
    before = read_address(running.run_dir)
    os.kill(before["pid"], signal.SIGKILL)

    def is_back() -> bool:
        assert not running.has_ended()  # this also looks after the dead
        return read_address(running.run_dir)["pid"] != before["pid"] and bool(answers(running.run_dir, "api/state"))

    watcher.until(is_back, PATIENCE_S, "the console again")
    assert read_address(running.run_dir)["url"] == before["url"]


def test_a_stop_is_said_on_the_topic_and_a_service_that_nobody_offers_is_named(run):
    running, watcher = run
    heard: list[Bool] = []
    watcher.node.create_subscription(Bool, "estop", heard.append, qos.RECORD)
    watcher.until(lambda: watcher.node.count_publishers("estop"), PATIENCE_S, "the console's voice")

    def is_heard() -> bool:
        assert answers(running.run_dir, "api/estop", "POST")[0] == 200
        watcher.until(lambda: True, PATIENCE_S, "a moment")
        return any(told.data for told in heard)

    watcher.until(is_heard, PATIENCE_S, "the stop")
    assert answers(running.run_dir, "api/hold", "POST") == (409, '{"ok":false,"text":"nobody answers arm_node/hold"}')
    running.stop()
    assert read_address(running.run_dir) == {}
    assert running.facts()[0]["exit_code"] == 0
