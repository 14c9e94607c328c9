"""Every node is a managed one: the standard services take it up and down, and a signal ends it with 0."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from graphs import facts_of, graph

from o2o_robot.supervise import Supervisor

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from watcher import Watcher

pytestmark = pytest.mark.ros
NODES = ("twin_node", "arm_node", "recorder_node", "teleop_node", "learner_node", "policy_node")
WAY = (
    (Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE),
    (Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE),
    (Transition.TRANSITION_DEACTIVATE, State.PRIMARY_STATE_INACTIVE),
    (Transition.TRANSITION_CLEANUP, State.PRIMARY_STATE_UNCONFIGURED),
)


@pytest.fixture(scope="module")
def nodes(
    module_domain: int, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Supervisor, Watcher]]:
    """Every executable at once, none of which starts by itself, and nothing scheduled."""
    run_dir = tmp_path_factory.mktemp("nodes")
    finetune = graph("finetune", run_dir, checkpoint=str(checkpoint)).processes
    processes = [*graph("collect", run_dir).processes, *finetune]
    quiet = {"autostart": False, "schedule": [""]}
    by_name = {p.name: replace(p, parameters={**p.parameters, **quiet}) for p in processes}
    assert set(by_name) == set(NODES)
    with Supervisor(list(by_name.values()), run_dir) as supervisor, Watcher(module_domain) as watcher:
        yield supervisor, watcher


def change(watcher: Watcher, node: str, transition: int) -> bool:
    request = ChangeState.Request(transition=Transition(id=transition))
    return bool(watcher.call(ChangeState, f"{node}/change_state", request).success)


def state_of(watcher: Watcher, node: str) -> int:
    return int(watcher.call(GetState, f"{node}/get_state", GetState.Request()).current_state.id)


@pytest.mark.parametrize("node", NODES)
def test_a_node_goes_the_whole_way_twice_by_the_standard_services(nodes, node):
    supervisor, watcher = nodes
    assert state_of(watcher, node) == State.PRIMARY_STATE_UNCONFIGURED, "it must not start by itself"
    for transition, state in WAY + WAY:
        assert change(watcher, node, transition), f"transition {transition} was refused"
        assert state_of(watcher, node) == state
    assert facts_of(supervisor.run_dir, node)["pid"] in [one.popen.pid for one in supervisor.running]


def test_what_a_node_made_is_gone_when_it_is_cleaned_up_and_there_once_when_it_works_again(nodes):
    _, watcher = nodes

    def speakers() -> list[str]:
        return [info.node_name for info in watcher.node.get_publishers_info_by_topic("joint_states")]

    watcher.until(lambda: speakers() == [], 10.0, "nobody speaks for the arm")
    for _ in range(2):
        assert change(watcher, "twin_node", Transition.TRANSITION_CONFIGURE)
        watcher.until(lambda: speakers() == ["twin_node"], 10.0, "one voice for the arm")
        assert change(watcher, "twin_node", Transition.TRANSITION_CLEANUP)
        watcher.until(lambda: speakers() == [], 10.0, "nobody speaks for the arm")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_active_node_told_to_end_leaves_with_0(nodes, number):
    """Half of the nodes by each signal."""
    supervisor, watcher = nodes
    ending = NODES[:3] if number == signal.SIGINT else NODES[3:]
    for node in ending:
        assert change(watcher, node, Transition.TRANSITION_CONFIGURE)
        assert change(watcher, node, Transition.TRANSITION_ACTIVATE)
    told = [one for one in supervisor.running if one.process.name in ending]
    for one in told:
        one.popen.send_signal(number)
    assert {one.process.name: one.popen.wait(20.0) for one in told} == dict.fromkeys(ending, 0)
