"""A stop leaves a black box: what was said before it, counted, and a picture; in real time and in lockstep."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import facts_of, graph

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")

from o2o_msgs.srv import InjectFault
from std_srvs.srv import Trigger
from watcher import Watcher

from o2o_nodes import convert
from o2o_robot.black_box import FACTS, MESSAGES, PICTURE
from o2o_robot.data.bag import Bag
from o2o_robot.data.decode import header_stamp_ns
from o2o_robot.jsonfile import read_json
from o2o_robot.report import black_box
from o2o_robot.supervise import Supervisor

pytestmark = pytest.mark.ros
SECOND_NS, STATE_NS = 1_000_000_000, 10_000_000
BEFORE_S, AFTER_S = 3.0, 0.5
HEARD = ("joint_states", "current_pose", "external_wrench")
SHORT = {"black_box.before_s": BEFORE_S, "black_box.after_s": AFTER_S}


class Cell:
    """A graph in real time whose boxes are short, and an ear in it; `latest` is the newest whole box."""

    def __init__(self, supervisor: Supervisor, watcher: Watcher) -> None:
        self.supervisor, self.watcher = supervisor, watcher
        self.seen: set[Path] = set()

    def box(self, reason: str) -> Path:
        """The next box that this reason has a part in."""

        def fresh() -> list[Path]:
            return [b for b in black_box.find(self.supervisor.run_dir) if reason in _told(b) and b not in self.seen]

        self.watcher.until(fresh, 60.0, f"a black box for '{reason}'")
        found = fresh()[0]
        self.seen |= set(black_box.find(self.supervisor.run_dir))
        return found

    def rearm(self) -> None:
        call = self.watcher.call
        call(Trigger, "clear_faults", Trigger.Request())
        call(Trigger, "arm_node/reset", Trigger.Request())
        call(Trigger, "arm_node/hold", Trigger.Request())  # out of a stop
        self.watcher.safety.clear()

        def is_armed() -> bool:
            # a loaded machine may stop it again at once, out of which a blow, a loss and a button latch it all the same
            if self.watcher.safety and self.watcher.safety[-1].state in ("ARMED", "SOFT_STOP"):
                return True
            call(Trigger, "arm_node/arm", Trigger.Request())
            return False

        self.watcher.until(is_armed, 60.0, "the guard armed")


def _told(box: Path) -> str:
    facts = read_json(box / FACTS)
    return "; ".join([facts["reason"], *facts["also"]])


def stamps_ns(box: Path, topic: str) -> np.ndarray:
    messages = Bag.open(box / MESSAGES).messages({topic})
    return np.array([header_stamp_ns(message.data) for message in messages if message.topic == topic])


@pytest.fixture(scope="module")
def cell(module_domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    run_dir = tmp_path_factory.mktemp("stops")
    changes: dict[str, dict[str, Any]] = {
        "arm_node": {"arm.external_wrench": "external_wrench"},
        "recorder_node": {**SHORT, "bags": ""},  # neither bags nor a store: the box alone
        "teleop_node": {"schedule": [""]},
    }
    running = graph("collect", run_dir, changes, realtime_factor=1.0, cameras="wrist")
    with running as supervisor, Watcher(module_domain) as watcher:
        yield Cell(supervisor, watcher)


def test_a_blow_leaves_every_state_of_the_seconds_before_it_and_a_picture(cell):
    cell.rearm()
    watcher, states = cell.watcher, cell.watcher.poses
    readers = watcher.node.get_subscriptions_info_by_topic
    watcher.until(
        lambda: all("recorder_node" in [r.node_name for r in readers(f"/{topic}")] for topic in HEARD), 30.0, "its ears"
    )
    states.clear()
    watcher.until(lambda: len(states) > 1.2 * BEFORE_S * 100, 60.0, "more seconds than a box holds")
    assert watcher.call(InjectFault, "inject_fault", InjectFault.Request(kind="spike", amount=5000.0, count=50)).success
    box = cell.box("force above the hard limit")
    facts = read_json(box / FACTS)
    stop_ns = facts["stop_ns"]
    for topic in (f"/{name}" for name in HEARD):
        stamps = stamps_ns(box, topic)
        assert (np.diff(stamps) == STATE_NS).mean() > 0.99, topic
        # the box counts by when it heard, and a loaded machine hears late
        assert stop_ns - stamps[0] == pytest.approx(BEFORE_S * SECOND_NS, abs=0.4 * SECOND_NS), topic
        assert len(stamps) == facts["messages"][topic], topic
    assert facts["seconds_after"] >= AFTER_S - 0.05
    assert facts["guard"]["hard_force_n"] == 500.0
    assert {"/target_pose", "/safety_state", "/diagnostics"} <= facts["messages"].keys()
    said = black_box.read(box)
    assert said.force.values.max() > 4000.0
    assert any(word.state == "LATCHED" and abs(word.t_s) < 0.1 for word in said.words)
    watcher.until((box / PICTURE).is_file, 120.0, "the picture")
    assert (box / PICTURE).read_bytes().startswith(b"\x89PNG")


def test_a_sensor_that_falls_silent_leaves_one_too(cell):
    cell.rearm()
    since_ns = cell.watcher.state_ns
    cell.watcher.until(lambda: cell.watcher.state_ns - since_ns > BEFORE_S * SECOND_NS, 60.0, "a stop of its own")
    assert cell.watcher.call(InjectFault, "inject_fault", InjectFault.Request(kind="loss")).success
    box = cell.box("arm state")
    stop_ns = read_json(box / FACTS)["stop_ns"]
    assert not (stamps_ns(box, "/joint_states") > stop_ns).any()
    assert (stamps_ns(box, "/current_pose") > stop_ns).any()


def test_an_emergency_stop_is_named(cell):
    cell.rearm()
    cell.watcher.call(Trigger, "arm_node/estop", Trigger.Request())
    assert "emergency stop" in _told(cell.box("emergency stop"))


def test_a_node_that_is_killed_is_named_once_it_is_silent_for_long_enough(cell):
    cell.rearm()
    pid = next(one.popen.pid for one in cell.supervisor.running if one.process.name == "teleop_node")
    os.kill(pid, signal.SIGKILL)
    assert "teleop_node fell silent" in _told(cell.box("fell silent"))


def test_in_lockstep_a_session_that_is_killed_in_an_episode_leaves_a_box_when_the_run_comes_down(domain, tmp_path):
    with graph("collect", tmp_path, {}, episodes=500) as supervisor, Watcher(domain) as watcher:
        events, executed = watcher.events, watcher.executed

        def is_in_an_episode() -> bool:
            began = len(executed) > 40 and events and events[-1].kind == events[-1].START
            return bool(began) and convert.stamp_ns(executed[-1].header.stamp) > convert.stamp_ns(
                events[-1].header.stamp
            )

        watcher.until(is_in_an_episode, 90.0, "the middle of an episode")
        pid = next(one.popen.pid for one in supervisor.running if one.process.name == "teleop_node")
        started = [event.id for event in events if event.kind == event.START]
        os.kill(pid, signal.SIGKILL)
    boxes = black_box.find(tmp_path)
    assert len(boxes) == facts_of(tmp_path, "recorder_node")["black_boxes"] == 1
    facts = read_json(boxes[0] / FACTS)
    assert facts["reason"] == "brought down in the middle of an episode of teleop_node"
    assert facts["episode"] >= started[-1]
    assert facts["messages"]["/executed_action"] > 30
    assert (boxes[0] / "wrist.png").is_file()


def test_a_run_that_ends_in_order_has_none(domain, tmp_path):
    with graph("collect", tmp_path, {}, episodes=2) as supervisor:
        supervisor.wait()
    assert not (tmp_path / "black_box").exists()
    assert facts_of(tmp_path, "recorder_node")["black_boxes"] == 0
