"""launch/sros2/policy.xml allows what the real graph does, and nothing else; the arm has one door there too."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphs import graph

from o2o_robot import overlay
from o2o_robot.errors import GraphError
from o2o_robot.graph import PARTS, STORIES
from o2o_robot.sros2 import (
    COMMON,
    MOTION,
    OPERATOR,
    UNSEEN,
    Profile,
    enclave_arguments,
    profile,
    read_policy,
    with_unseen,
    write_policy,
)

POLICY = overlay.share() / "sros2" / "policy.xml"
REPAIR = "run scripts/sros2_policy.py, and read what changed"


def test_what_is_written_is_what_is_read(tmp_path):
    told = {"a": profile(publish=["x", "~/y"], call=["go"]), "b": profile(reply=["~/z"])}
    write_policy(tmp_path / "policy.xml", told, "why")
    assert read_policy(tmp_path / "policy.xml") == told


def test_arm_node_alone_may_say_what_moves_an_arm():
    sayers = {node for node, told in read_policy(POLICY).items() if told.publish & set(MOTION)}
    assert sayers == {"arm_node"}


def test_every_node_that_a_story_starts_has_its_enclave(tmp_path):
    told = read_policy(POLICY)
    for settings, describe in (STORIES | PARTS).values():
        names = {process.name for process in describe(settings(run_dir=str(tmp_path)), overlay.share())}
        assert names <= told.keys(), REPAIR


def test_the_file_is_what_it_is_made_of():
    told = read_policy(POLICY)
    nodes = {node: one for node, one in told.items() if node != OPERATOR}
    assert with_unseen(nodes) == told, REPAIR


@pytest.mark.ros
@pytest.mark.parametrize("story", ["collect", "finetune"])
def test_the_running_graph_does_what_the_policy_allows_and_no_node_is_allowed_more(domain, tmp_path, checkpoint, story):
    pytest.importorskip("rclpy")
    pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")
    from watcher import Watcher

    from o2o_nodes.who_speaks import profile_of

    own = {"checkpoint": str(checkpoint)} if story == "finetune" else {}
    session = {"collect": "teleop_node", "finetune": "policy_node"}[story]
    told = read_policy(POLICY)
    supervisor = graph(story, tmp_path, {session: {"schedule": [""]}}, **own)
    with supervisor, Watcher(domain) as watcher:
        for name in (process.name for process in supervisor.processes):
            watcher.until(lambda name=name: name in watcher.node.get_node_names(), 60.0, name)
            everywhere = told[name] - UNSEEN.get(name, Profile()) - COMMON
            in_part = (name, story) == ("recorder_node", "finetune")  # to a store alone: `collect` shows the rest
            needed = Profile() if in_part else everywhere
            watcher.until(lambda n=name, all_of=needed: not all_of - profile_of(watcher.node, n), 60.0, f"{needed}")
            assert not profile_of(watcher.node, name) - told[name], (
                f"{name}: {profile_of(watcher.node, name) - told[name]}; {REPAIR}"
            )


@pytest.mark.ros
def test_the_policy_allows_what_a_graph_does_where_all_there_is_was_asked_for(domain, tmp_path, checkpoint):
    pytest.importorskip("rclpy")
    pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")
    from watcher import Watcher

    from o2o_nodes.who_speaks import profile_of

    asked = {"teleop": "joy", "reward": "keys", "reset": "path,ask", "console": True, "console_port": 0}
    own = {"checkpoint": str(checkpoint), "realtime_factor": 1.0, **asked}
    told = read_policy(POLICY)
    supervisor = graph("finetune", tmp_path, {"policy_node": {"schedule": [""]}}, **own)
    speaks = {
        "reset_node": profile(publish=["action"]),
        "console_node": profile(publish=["estop"]),
        "reward_node": profile(publish=["task_state"]),
        "teleop_node": profile(publish=["teleop_action"]),
    }
    with supervisor, Watcher(domain) as watcher:
        for name in (process.name for process in supervisor.processes):
            watcher.until(lambda name=name: name in watcher.node.get_node_names(), 60.0, name)
        for name, one in speaks.items():
            watcher.until(lambda n=name, some=one: not some - profile_of(watcher.node, n), 60.0, f"{name}'s {one}")
        for name in (process.name for process in supervisor.processes):
            beyond = profile_of(watcher.node, name) - told[name]
            assert not beyond, f"{name}: {beyond}; add it to UNSEEN, and {REPAIR}"


def test_a_node_is_given_its_enclave_where_security_is_switched_on():
    assert enclave_arguments("arm_node", {"ROS_SECURITY_ENABLE": "true"}) == ["--enclave", "/o2o/arm_node"]
    assert enclave_arguments("arm_node", {}) == []


def test_a_file_that_is_no_policy_is_refused_in_one_line(tmp_path: Path):
    for text in ("", "<policy version='9'/>", "<a>"):
        (tmp_path / "policy.xml").write_text(text)
        with pytest.raises(GraphError, match=r"sros2_policy\.py"):
            read_policy(tmp_path / "policy.xml")
