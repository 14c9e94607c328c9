"""Every node tells /diagnostics how it is, and says goodbye when it ends in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pytest
from graphs import graph

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from std_srvs.srv import Trigger
from watcher import Watcher

from o2o_nodes import qos
from o2o_nodes.arm_topics import ArmTopics
from o2o_nodes.diagnostics import ENDED
from o2o_robot.config import as_mapping
from o2o_robot.preflight.arm_names import ArmNames

pytestmark = pytest.mark.ros
NODES = {"twin_node", "arm_node", "recorder_node", "teleop_node"}


class Heard:
    """node -> its statuses, newest last."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher, self.of = watcher, defaultdict[str, list[DiagnosticStatus]](list)
        watcher.node.create_subscription(DiagnosticArray, "/diagnostics", self._hear, qos.RECORD)

    def latest(self, node: str) -> dict[str, str]:
        return {value.key: value.value for value in self.of[node][-1].values}

    def _hear(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.of[status.name].append(status)


@pytest.fixture(scope="module")
def heard(module_domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Heard]:
    named = {node: {"hardware_id": "left_arm"} for node in NODES}
    changes = {**named, "teleop_node": {**named["teleop_node"], "schedule": [""]}}
    running = graph("collect", tmp_path_factory.mktemp("run"), changes, realtime_factor=1.0)
    with running as supervisor, Watcher(module_domain) as watcher:
        heard = Heard(watcher)
        watcher.until(lambda: all(len(heard.of[node]) > 2 for node in NODES), 60.0, "three words of each node")
        yield heard
        supervisor.stop()
        watcher.until(lambda: all(heard.of[node][-1].message == ENDED for node in NODES), 60.0, "their goodbyes")
    assert {heard.of[node][-1].level for node in NODES} == {DiagnosticStatus.STALE}


def test_every_node_tells_its_robot_memory_callbacks_and_what_it_hears(heard):
    for node in NODES:
        told = heard.latest(node)
        assert heard.of[node][-1].hardware_id == "left_arm"
        assert float(told["memory_mb"]) > 10.0
        assert int(told["callbacks"]) > 0, node
    assert float(heard.latest("arm_node")["joint_states hz"]) > 5.0
    assert float(heard.latest("arm_node")["joint_states age_s"]) < 5.0
    assert float(heard.latest("recorder_node")["disk_free_mb"]) > 0.0


def test_the_guard_s_tick_has_a_jitter_and_the_twin_s_physics_too(heard):
    for node, beat in {"arm_node": "tick", "twin_node": "physics"}.items():
        told = heard.latest(node)
        p50, p99, most = (float(told[f"{beat} jitter {name}_ms"]) for name in ("p50", "p99", "max"))
        assert 0.0 <= p50 <= p99 <= most
        assert "<=" in told[f"{beat} jitter in all bins_ms"]


def test_a_latched_guard_is_an_error_that_says_what_to_do_until_a_person_resets(heard):
    until, call = heard.watcher.until, heard.watcher.call
    call(Trigger, "arm_node/estop", Trigger.Request())
    until(lambda: heard.of["arm_node"][-1].level == DiagnosticStatus.ERROR, 15.0, "the guard's error")
    assert "emergency stop" in heard.of["arm_node"][-1].message
    assert "arm_node/reset" in heard.of["arm_node"][-1].message
    call(Trigger, "arm_node/reset", Trigger.Request())
    until(lambda: heard.of["arm_node"][-1].level != DiagnosticStatus.ERROR, 15.0, "the error gone")


def test_readings_that_fail_are_a_warning_and_bring_no_node_down(module_domain):
    from arm_bench import Client

    with Client(module_domain, lockstep=False) as client:
        told: list[DiagnosticStatus] = []
        client.node.create_subscription(
            DiagnosticArray,
            "/diagnostics",
            lambda m: told.extend(s for s in m.status if s.name == "client"),
            qos.RECORD,
        )
        client.node.readings = lambda: 1 / 0
        client.node._is_started = True
        client.until(lambda: told, 15.0, "a status")
        assert told[-1].level == DiagnosticStatus.WARN
        assert "ZeroDivisionError" in told[-1].message


def test_the_doctor_s_names_of_an_arm_are_arm_node_s_own():
    usual = as_mapping(ArmTopics())
    assert {name: usual[name] for name in as_mapping(ArmNames())} == as_mapping(ArmNames())
