"""How arm_node refuses to begin, who else may not command, and how it leaves in the middle of a motion."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")
pytest.importorskip("o2o_sim.engine", reason="needs mujoco")

from geometry_msgs.msg import PoseStamped
from graphs import facts_of
from guard_bench import TICK_S, Bench, facts_of_cell, processes, worst_motion
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from o2o_nodes import qos
from o2o_robot.graph import Process
from o2o_robot.safety.reason import Reason, names
from o2o_robot.supervise import Supervisor

pytestmark = pytest.mark.ros
ALONG_Y = [0.0, -1.0, 0.0]
CELL = facts_of_cell("fr3")

WRONG = {
    "a tick of another rate": ({"tick_hz": 200.0}, "set tick_hz to 100"),
    "a profile there is not": ({"profile": "warm-up", "profiles": False}, "warmup, online, eval, teleop"),
    "one profile and all": ({"profile": "eval", "profiles": True}, "set one of them"),
    "a profile wider than the preset": ({"limits_of.online.max_step_m": 0.02}, "allows more than the preset"),
    "a misspelt change of a profile": ({"limits_of.warmup.max_stepm": 0.001}, "did you mean 'max_step_m'"),
    "changes of profiles that are off": ({"limits_of.warmup.max_step_m": 0.001, "profiles": False}, "profiles is off"),
    "a hand-back there is not": ({"guard.resume_after_teleop": "never"}, "release, silence"),
    "a negative budget": ({"budget.force_events_per_hour": -1}, "must be >= 0"),
    "limits that are not finite": ({"guard.max_speed_m_s": float("nan")}, "finite and > 0"),
    "a workspace inside out": ({"guard.workspace_min_m": [0.7, 0.0, 0.0]}, "min below max"),
}


def test_a_wrong_setting_ends_the_node_at_configure_with_one_line_that_says_so(domain: int, tmp_path: Path):
    running = []
    for number, (parameters, _) in enumerate(WRONG.values()):
        nodes = Supervisor([Process("arm_node", {"limits": "fr3", **parameters})], tmp_path / str(number))
        running.append(nodes.__enter__())
    for nodes, (_, hint) in zip(running, WRONG.values(), strict=True):
        (one,) = nodes.running
        assert one.popen.wait(120.0) == 1
        said = one.log.read_text().strip().splitlines()
        assert len(said) == 1, said
        assert hint in said[0]
        nodes.stop()


@pytest.fixture(scope="module")
def graph(module_domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Supervisor, Bench]]:
    run_dir = tmp_path_factory.mktemp("ends")
    with Supervisor(processes(run_dir), run_dir) as supervisor, Bench(module_domain) as bench:
        bench.mode = "eval"
        yield supervisor, bench.wait_for_graph()


@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        ("target_pose", PoseStamped),
        ("target_joint", JointState),
        ("gripper_position_controller/commands", Float64MultiArray),
    ],
)
def test_a_second_publisher_on_a_topic_that_moves_the_arm_is_seen_and_latches(graph, topic, kind):
    _, bench = graph
    bench.begin()
    intruder = bench.node.create_publisher(kind, topic, qos.COMMAND)
    bench.until(lambda: bench.state == "LATCHED", 20.0, "the latch")
    assert bench.safety[-1].reasons & Reason.ESTOP
    assert bench.count("somebody else commands the arm") > 0
    bench.ask("reset")
    refused = bench.ask("arm")
    assert not refused.success
    assert f"watcher on {topic}" in refused.message
    bench.node.destroy_publisher(intruder)
    bench.until(lambda: bench.ask("arm").success, 20.0, "the guard armed again")


def test_joint_states_of_wrong_sizes_are_no_states_and_the_guard_stops(graph):
    """They are left out, whoever sent them, and the arm's own go on: nothing moves by them, nothing dies of them."""
    _, bench = graph
    bench.begin()
    joints = bench.node.create_publisher(JointState, "joint_states", qos.SENSOR_OUT)
    bench.until(joints.get_subscription_count, 10.0, "the guard's ear")
    names_of_joints = [f"fr3_joint{i}" for i in range(1, 8)]
    for position, velocity in (([0.0] * 6, []), ([0.0] * 7, [0.0] * 3), ([0.0] * 90_000, []), ([], [])):
        joints.publish(JointState(name=names_of_joints, position=position, velocity=velocity))
    joints.publish(JointState(name=[], position=[9.0] * 7))
    answers = bench.drive([0.0, 0.1, 0.0], 3)
    bench.node.destroy_publisher(joints)
    assert all(np.isfinite(answer.executed).all() for answer in answers)
    bench.begin()


def change(bench: Bench, transition: int) -> bool:
    request = ChangeState.Request(transition=Transition(id=transition))
    return bool(bench.call(ChangeState, "arm_node/change_state", request).success)


def assert_braked(bench: Bench) -> None:
    """The stream ended in rest, within its bounds."""
    worst = worst_motion(bench.targets)
    assert worst["acceleration"] <= CELL["guard.max_acceleration_m_s2"] * (1 + 1e-6), worst
    last_m = [pose[:3] for _, pose in bench.targets[-2:]]
    assert np.linalg.norm(last_m[1] - last_m[0]) <= CELL["guard.max_acceleration_m_s2"] * TICK_S**2


def test_deactivated_in_motion_the_arm_brakes_within_its_bounds_and_is_then_told_nothing(graph):
    _, bench = graph
    bench.full_speed(ALONG_Y)
    bench.propose(ALONG_Y)
    assert change(bench, Transition.TRANSITION_DEACTIVATE)
    bench.until(lambda: bench.state == "IDLE", 10.0, "the guard disarmed")
    assert_braked(bench)
    told, now_ns = len(bench.targets), bench.state_ns
    bench.until(lambda: bench.state_ns > now_ns + 300_000_000, 10.0, "some of the arm's time")
    assert len(bench.targets) == told
    assert change(bench, Transition.TRANSITION_ACTIVATE)
    bench.begin()


def test_told_to_end_in_motion_it_brakes_first_and_leaves_with_0(graph):
    supervisor, bench = graph
    bench.full_speed(ALONG_Y)
    bench.propose(ALONG_Y)
    (node,) = (one for one in supervisor.running if one.process.name == "arm_node")
    node.popen.send_signal(signal.SIGTERM)
    bench.until(lambda: node.popen.poll() is not None, 30.0, "the end of arm_node")
    assert node.popen.returncode == 0
    n_poses = len(bench.poses) + 50
    bench.until(lambda: len(bench.poses) > n_poses, 10.0, "where the arm is afterwards")
    assert_braked(bench)
    reference_m = bench.targets[-1][1][:3]
    assert np.abs(bench.poses[-1][1][:3] - reference_m).max() < 0.006, names(bench.safety[-1].reasons)
    story = [event["what"] for event in facts_of(supervisor.run_dir, "arm_node")["story"]]
    assert any("would move the arm too" in what for what in story)
    assert any("limits of profile eval" in what for what in story)
