"""Which arm a graph is for: every node is told of the same joints, the same action and the same chosen facts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from o2o_robot import overlay
from o2o_robot.config import as_mapping, build
from o2o_robot.errors import ConfigError
from o2o_robot.graph import JOINTS, STORIES, Process, Up
from o2o_robot.graph_arm import TASK_SPACES, action_space, laid_over
from o2o_robot.robot.action import DeltaPositionGripper
from o2o_robot.robot.action_space import space_named
from o2o_robot.robot.fake import fr3_with_hand
from o2o_robot.safety.guard_config import GuardConfig, twin
from o2o_robot.types import ArmState, TaskState

SESSIONS = ("teleop_node", "policy_node")


def processes(story: str = "collect", **settings: Any) -> dict[str, Process]:
    settings_of, describe = STORIES[story]
    return {process.name: process for process in describe(settings_of(**settings), overlay.share())}


def told(process: Process) -> dict[str, Any]:
    """A process's parameters, and over them those of its file, as ROS lays them."""
    above = laid_over([process.params_file], process.name) if process.params_file else {}
    return {**process.parameters, **above}


def own(folder: Path, text: str, name: str = "mine.yaml") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize(("settings", "joints"), [({}, "fr3"), ({"arm": "ur5e"}, "ur5e"), ({"robot": "ur5e"}, "ur5e")])
def test_everybody_who_reads_joints_is_told_those_of_the_arm_that_answers(story, settings, joints):
    nodes = processes(story, **settings)
    named = {name: node.parameters["joints"] for name, node in nodes.items() if "joints" in node.parameters}
    assert set(named) >= {"arm_node"}
    assert set(named) & set(SESSIONS)
    assert all(names == JOINTS[joints] for names in named.values())


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize(("task", "n"), [("peg", 3), ("reach", 3), ("lift", 4)])
def test_both_sides_of_an_action_are_told_one_number_of_values(story, task, n):
    nodes = processes(story, task=task)
    spaces = {
        name: node.parameters["action_space"] for name, node in nodes.items() if "action_space" in node.parameters
    }
    assert set(spaces) >= {"twin_node", "arm_node"}
    assert set(spaces) & set(SESSIONS)
    assert {space_named(space).n_action for space in spaces.values()} == {n}


def test_where_an_action_moves_a_gripper_the_session_and_the_recorder_read_its_state_and_else_nobody_does():
    for task, seen in (("lift", True), ("peg", False)):
        nodes = processes(task=task)
        assert ["gripper_states" in told(nodes[name]) for name in ("teleop_node", "recorder_node")] == [seen, seen]


def test_the_demos_arm_has_its_one_file_and_no_other():
    nodes = processes()
    assert {nodes[name].params_file for name in ("arm_node", "twin_node")} == {f"{overlay.share()}/params/twin.yaml"}
    assert not {"guard", "arm"} & (nodes["arm_node"].parameters.keys() | nodes["twin_node"].parameters.keys())
    assert nodes["teleop_node"].params_file == nodes["recorder_node"].params_file == ""


@pytest.mark.parametrize("arm", ["fr3", "ur5e"])
@pytest.mark.parametrize("task", ["peg", "reach", "lift"])
def test_the_guard_of_the_graph_is_the_guard_of_the_same_twin_in_process(arm, task):
    cell = pytest.importorskip("o2o_sim.cell")
    config = pytest.importorskip("o2o_sim.config")
    door = told(processes(arm=arm, task=task)["arm_node"])
    n_values = space_named(door["action_space"]).n_action
    through_ros = build(GuardConfig, {**as_mapping(twin()), **door["guard"], "n_values": n_values})
    assert through_ros == cell.cell_limits(config.TwinConfig(task=task, robot=arm))


def test_the_space_of_each_task_is_that_of_its_tool_and_of_its_expert():
    tasks = pytest.importorskip("o2o_sim.tasks")
    from o2o_sim.config import TwinConfig
    from o2o_sim.tasks.expert import make_expert

    task, arm = TaskState(0, 0.0, False, privileged=np.zeros(9)), fr3_with_hand().fk(np.zeros(7))
    for name in tasks.TASKS:
        wanted = space_named(action_space(name, ""))
        assert issubclass(wanted, DeltaPositionGripper) is (tasks.make_task(TwinConfig(task=name)).tool == "gripper")
        state = ArmState(0, np.zeros(7), np.zeros(7), arm)
        assert make_expert(name).act(task, state, np.random.default_rng(0)).shape == (wanted.n_action,)
    assert TASK_SPACES.keys() <= set(tasks.TASKS)


@pytest.mark.parametrize("settings", [{}, {"arm": "ur5e"}, {"task": "lift"}])
def test_your_own_file_has_the_last_word_and_the_rest_stays(tmp_path, settings):
    mine = own(tmp_path, "/**/arm_node:\n  ros__parameters:\n    guard: {max_step_m: 0.01}\n")
    before = told(processes(**settings)["arm_node"])
    after = told(processes(params_file=mine, **settings)["arm_node"])
    assert after["guard"] == {**before["guard"], "max_step_m": 0.01}
    assert after["arm"] == before["arm"]


def test_an_arm_of_your_own_brings_its_joints_and_its_limits(tmp_path):
    arm = own(tmp_path, yaml.safe_dump({"mjcf": "a.xml", "joints": ["j1", "j2"]}), "arm.yaml")
    mine = own(tmp_path, "/**/arm_node:\n  ros__parameters:\n    guard: {robot: ur5e}\n")
    nodes = processes(arm=arm, params_file=mine)
    assert nodes["arm_node"].parameters["joints"] == nodes["teleop_node"].parameters["joints"] == ["j1", "j2"]
    assert nodes["twin_node"].parameters["robot"] == arm
    assert told(nodes["arm_node"])["guard"]["robot"] == "ur5e"


def test_what_is_drawn_is_kept_exactly_where_something_is():
    assert processes(randomization="mild")["recorder_node"].parameters["scenes"] is True
    assert processes()["recorder_node"].parameters["scenes"] is False


WRONG = {
    "an arm there is not": ({"arm": "panda"}, "no arm 'panda'.*fr3, ur5e"),
    "a map there is not": ({"arm": "no/arm.yaml"}, "no/arm.yaml: No such file"),
    "a map without joints": ({"arm": "{tmp}/empty.yaml"}, "empty.yaml: no list `joints`"),
    "an own arm without limits": ({"arm": "{tmp}/arm.yaml"}, "give params_file"),
    "a file there is not": ({"params_file": "no/cell.yaml"}, "no/cell.yaml: No such file"),
    "a file that is none of parameters": ({"params_file": "{tmp}/arm.yaml"}, "is no node's section"),
    "a node named in another way": ({"params_file": "{tmp}/bare.yaml"}, "'arm_node' is no node's section"),
    "a space there is not": ({"action_space": "delta_pose"}, "no action_space 'delta_pose'.*delta_position_gripper"),
    "a simulator's setting on a robot": ({"robot": "fr3", "sensors": "real"}, "sensors: of the twin alone"),
    "a simulator's arm on a robot": ({"robot": "fr3", "arm": "ur5e"}, "arm: of the twin alone"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_arm_or_file_is_refused_in_one_line_before_anything_starts(tmp_path, kind):
    own(tmp_path, "joints: [a]\nmjcf: a.xml\n", "arm.yaml")
    own(tmp_path, "mjcf: a.xml\n", "empty.yaml")
    own(tmp_path, "arm_node:\n  ros__parameters: {}\n", "bare.yaml")
    settings, said = WRONG[kind]
    with pytest.raises(ConfigError, match=said) as refusal:
        Up(**{name: value.replace("{tmp}", str(tmp_path)) for name, value in settings.items()})
    assert "\n" not in str(refusal.value)
