"""Wrong names and numbers end at configure, in one line that says what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")

from o2o_nodes.arm_topics import CONTROLLERS, ArmTopics
from o2o_robot import overlay
from o2o_robot.config import build
from o2o_robot.errors import O2OError
from o2o_robot.graph import JOINTS, ROBOTS, Process
from o2o_robot.supervise import Supervisor

pytestmark = pytest.mark.ros


@pytest.mark.parametrize("robot", ROBOTS)
def test_a_robots_parameter_file_names_only_settings_there_are(robot):
    text = (overlay.share() / "params" / f"{robot}.yaml").read_text()
    settings = yaml.safe_load(text)["/**/arm_node"]["ros__parameters"]["arm"]
    assert build(ArmTopics, settings).controller in CONTROLLERS


@pytest.mark.parametrize(
    ("setting", "value", "hint"),
    [
        ("controller", "cartesian_pos", "cartesian_pose"),
        ("wrench_frame", "flange", "base, tool"),
        ("twist_units", "m/s", "speed, unitless"),
        ("frame_id", "", "base"),
        ("target_pose", "", "topic name"),
        ("target_pose", "1st/pose", "topic name"),
        ("external_wrench", "two words", "topic name"),
        ("time_from_start_s", 0.0, "> 0"),
        ("pose_age_s", float("nan"), "> 0"),
        ("twist_reach_s", -0.1, "> 0"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_is_allowed(setting, value, hint):
    with pytest.raises(O2OError, match=hint) as refusal:
        ArmTopics(**{setting: value})
    assert "\n" not in str(refusal.value)


BAD = {
    "a misspelt parameter": ("arm_node", {"arm.contoller": "servo_twist"}, "did you mean 'arm.controller'"),
    "a misspelt parameter of the twin": ("twin_node", {"arm.target_pos": "here"}, "did you mean 'arm.target_pose'"),
    "another robot's joints": ("arm_node", {"joints": JOINTS["ur5e"], "limits": "fr3"}, "names 6"),
    "a controller there is not": ("arm_node", {"arm.controller": "velocity"}, "allowed: cartesian_pose"),
}


def test_a_node_that_was_told_wrong_ends_at_once_with_one_line_that_says_so(domain: int, tmp_path: Path):
    running = []
    for number, (node, parameters, _) in enumerate(BAD.values()):
        nodes = Supervisor([Process(node, {"cameras": [""], **parameters})], tmp_path / str(number))
        running.append(nodes.__enter__())
    for nodes, (_, _, hint) in zip(running, BAD.values(), strict=True):
        (one,) = nodes.running
        assert one.popen.wait(60.0) == 1
        said = one.log.read_text().strip().splitlines()
        assert len(said) == 1
        assert hint in said[0]
        nodes.stop()
