"""Who brings the arm of a graph back to its start, and what the others are told of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from o2o_robot import overlay
from o2o_robot.errors import ConfigError
from o2o_robot.graph import STORIES, Process, Up
from o2o_robot.graph_arm import laid_over, params_files

SHARE = Path("/share")
SESSIONS = {"collect": "teleop_node", "evaluate": "policy_node", "finetune": "policy_node"}


def processes(story: str, share: Path = SHARE, **settings: object) -> dict[str, Process]:
    settings_of, describe = STORIES[story]
    return {process.name: process for process in describe(settings_of(**settings), share)}


@pytest.mark.parametrize("story", STORIES)
def test_the_twin_brings_its_arm_back_itself_unless_told_otherwise(story):
    nodes = processes(story)
    assert "reset_node" not in nodes
    assert "place_only" not in nodes["twin_node"].parameters
    assert "reset_patience_s" not in nodes[SESSIONS[story]].parameters


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("arm", ["fr3", "ur5e"])
def test_with_a_chain_the_twin_only_places_the_scene_and_reset_node_asks_it_to(story, arm):
    nodes = processes(story, overlay.share(), arm=arm, reset="path,ask", cameras="front")
    reset = nodes["reset_node"].parameters
    assert nodes["twin_node"].parameters["place_only"] is True
    assert (reset["chain"], reset["scene_server"], reset["kinematics"]) == ("path,ask", "place_scene", arm)
    assert (reset["cameras"], reset["joints"]) == (["front"], nodes["arm_node"].parameters["joints"])
    assert nodes[SESSIONS[story]].parameters["reset_patience_s"] > 600


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("robot", ["fr3", "ur5e"])
def test_a_real_robots_start_is_a_persons_unless_a_chain_or_nobody_is_named(story, robot):
    asked = processes(story, robot=robot)["reset_node"]
    assert asked.parameters["chain"] == "ask"
    assert "scene_server" not in asked.parameters
    assert asked.params_file == f"/share/params/{robot}.yaml"
    assert processes(story, robot=robot, reset="unstick,ask")["reset_node"].parameters["chain"] == "unstick,ask"
    nobody = processes(story, robot=robot, reset="none")
    assert "reset_node" not in nobody
    assert "reset_patience_s" not in nobody[SESSIONS[story]].parameters


def test_a_misspelt_chain_is_refused_before_anything_starts():
    with pytest.raises(ConfigError, match="unstick"):
        Up(reset="path,unstik")


@pytest.mark.parametrize("task", ["peg", "lift"])
@pytest.mark.parametrize("arm", ["fr3", "ur5e"])
def test_the_twins_home_is_inside_its_guards_workspace_with_room_for_every_drawn_start(arm, task):
    space = Up(arm=arm, task=task).space
    files = params_files("twin", arm, space, overlay.share(), "")
    start, guard = laid_over(files, "reset_node")["start"], laid_over(files, "arm_node")["guard"]
    for low, high, at, spread in zip(
        guard["workspace_min_m"], guard["workspace_max_m"], start["position_m"], start["spread_m"], strict=True
    ):
        assert low < at - spread
        assert at + spread < high
