"""What the doctor makes of /diagnostics, and of topics that have other names."""

from __future__ import annotations

from pathlib import Path

import pytest

from o2o_robot.errors import ConfigError
from o2o_robot.preflight import commands, nodes
from o2o_robot.preflight.arm_names import ArmNames, arm_names_from_file, arm_names_from_parameters
from o2o_robot.preflight.facts import GraphFacts, NodeParameters, NodeStatus
from o2o_robot.preflight.finding import Level
from o2o_robot.preflight.wanted import guard_from_file, wanted

PARAMS = Path(__file__).resolve().parents[2] / "launch" / "params"


def told(*statuses: NodeStatus, answered: tuple[str, ...] = ()) -> dict[str, Level]:
    parameters = tuple(NodeParameters(f"/{name}", {"lockstep": False}) for name in answered)
    return {f.what: f.level for f in nodes.told(GraphFacts(statuses=statuses, nodes=parameters))}


@pytest.mark.parametrize(
    ("level", "expected"), [(0, Level.GREEN), (1, Level.YELLOW), (2, Level.RED), (3, Level.YELLOW)]
)
def test_a_node_s_own_level_is_the_line_s(level, expected):
    assert told(NodeStatus("arm_node", level, "latched; call arm_node/reset"))["arm_node"] is expected


def test_a_red_node_says_what_to_do_and_shows_its_worst_figures():
    values = {"tick jitter p99_ms": "2.0", "callback max_ms": "80.0", "memory_mb": "99.0"}
    status = NodeStatus("arm_node", 2, "latched (force); call arm_node/reset", values=values)
    (finding,) = nodes.told(GraphFacts(statuses=(status,)))
    assert finding.remedy == "Latched (force); call arm_node/reset."
    assert "tick jitter p99 2.0 ms" in finding.measured
    assert "longest callback 80.0 ms" in finding.measured


def test_a_node_that_fell_silent_is_red_however_well_it_was_before():
    assert told(NodeStatus("policy_node", 0, "working", age_s=3.5))["policy_node"] is Level.RED


def test_a_node_of_the_house_that_says_nothing_is_noticed_and_a_camera_counts_for_its_node():
    camera = NodeStatus("camera_node: wrist", 0, "streaming")
    lines = told(camera, answered=("camera_node", "arm_node"))
    assert lines == {"camera_node: wrist": Level.GREEN, "/arm_node": Level.YELLOW}


def test_nobody_on_diagnostics_is_unknown():
    assert told() == {"/diagnostics": Level.UNKNOWN}


@pytest.mark.parametrize("robot", ["twin", "fr3", "ur5e"])
def test_the_topics_of_a_robot_s_file_are_what_is_listened_to(robot):
    file = PARAMS / f"{robot}.yaml"
    arm = arm_names_from_file(file)
    asked = wanted(robot, cameras=(), guard=guard_from_file(robot, file), state_hz=1, camera_hz=1, arm=arm)
    assert asked.stream("current_pose").listened_to == arm.current_pose
    assert asked.stream("external_wrench").required is bool(arm.external_wrench)


def test_a_ur5e_moves_by_its_own_controller_s_topic():
    arm = arm_names_from_file(PARAMS / "ur5e.yaml")
    assert arm.command == "scaled_joint_trajectory_controller/joint_trajectory"
    assert arm.current_pose == "tcp_pose_broadcaster/pose"


def test_an_arm_node_that_goes_by_other_topics_than_were_measured_is_red():
    running = (NodeParameters("/arm_node", {"arm.joint_states": "/franka/joint_states"}),)
    finding = commands.same_names(GraphFacts(nodes=running), ArmNames())
    assert finding.level is Level.RED
    assert "/franka/joint_states" in finding.measured
    same = (NodeParameters("/arm_node", {"arm.joint_states": "joint_states"}),)
    assert commands.same_names(GraphFacts(nodes=same), ArmNames()).level is Level.GREEN
    assert commands.same_names(GraphFacts(), ArmNames()).level is Level.UNKNOWN
    assert arm_names_from_parameters({"guard.robot": "fr3"}) is None


@pytest.mark.parametrize("text", ["", "a: [", "/**/arm_node: {ros__parameters: {arm: {controller: thought}}}"])
def test_a_file_without_an_arm_is_one_line(tmp_path, text):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(ConfigError) as told_:
        arm_names_from_file(tmp_path / "r.yaml")
    assert len(str(told_.value).splitlines()) == 1
