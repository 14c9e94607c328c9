"""The graph, described once: who is in it, what each is told, and what a story refuses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from o2o_robot.errors import ConfigError
from o2o_robot.graph import JOINTS, ROBOTS, STORIES, Collect, Evaluate, Finetune, Process, Up
from o2o_robot.loop import parse_block

SHARE = Path("/share")
GRAPHS = [
    pytest.param(story, robot, factor, id=f"{story}-{robot}-{factor}")
    for story in STORIES
    for robot, factor in [("twin", 0.0), ("twin", 1.0), ("fr3", 1.0), ("ur5e", 1.0)]
]


def processes(story: str, **settings: object) -> dict[str, Process]:
    settings_of, describe = STORIES[story]
    return {process.name: process for process in describe(settings_of(**settings), SHARE)}


@pytest.mark.parametrize(("story", "robot", "factor"), GRAPHS)
def test_every_graph_has_one_door_one_recorder_and_one_session(story, robot, factor):
    nodes = processes(story, robot=robot, realtime_factor=factor)
    assert {"arm_node", "recorder_node"} <= nodes.keys()
    assert sum(process.is_session for process in nodes.values()) == 1
    assert ("twin_node" in nodes) is (robot == "twin")


@pytest.mark.parametrize(("story", "robot", "factor"), GRAPHS)
def test_all_nodes_agree_on_pace_clock_and_run(story, robot, factor):
    nodes = processes(story, robot=robot, realtime_factor=factor, run_dir="runs/x")
    assert {process.parameters["lockstep"] for process in nodes.values()} == {factor == 0.0}
    assert {process.parameters["run_dir"] for process in nodes.values()} == {"runs/x"}
    on_sim_time = {name for name, process in nodes.items() if process.parameters["use_sim_time"]}
    assert on_sim_time == (nodes.keys() - {"twin_node"} if robot == "twin" else set())


@pytest.mark.parametrize("robot", ROBOTS)
def test_a_real_arm_waits_for_a_person_and_has_its_own_limits_and_joints(robot):
    arm = processes("collect", robot=robot)["arm_node"]
    assert arm.parameters["auto_arm"] is (robot == "twin")
    assert arm.parameters["limits"] == robot
    assert arm.parameters["joints"] == JOINTS[robot]
    assert arm.params_file == f"/share/params/{robot}.yaml"


@pytest.mark.parametrize("robot", ["fr3", "ur5e"])
def test_a_real_robots_cameras_publish_what_the_session_reads_unless_another_driver_does(robot):
    ours = processes("evaluate", robot=robot, image_size=96)
    assert ours["camera_node"].parameters["wrist.policy_size"] == ours["policy_node"].parameters["image_size"] == 96
    assert ours["camera_node"].params_file == f"/share/params/{robot}.yaml"
    assert ours["policy_node"].parameters["image_topic"] == "color/image_policy"
    theirs = processes("evaluate", robot=robot, camera_node=False)
    assert "camera_node" not in theirs
    assert theirs["policy_node"].parameters["image_topic"] == "color/image_raw"
    twin = processes("evaluate", robot="twin")
    assert "camera_node" not in twin
    assert twin["policy_node"].parameters["image_topic"] == "color/image_raw"


@pytest.mark.parametrize("robot", ["fr3", "ur5e"])
def test_a_real_arm_never_runs_at_another_pace_than_real_time(robot):
    assert Up(robot=robot, realtime_factor=0.0).realtime_factor == 1.0


@pytest.mark.parametrize(("wrong", "named"), [({"robot": "panda"}, "panda"), ({"realtime_factor": -1.0}, "-1")])
def test_an_impossible_graph_is_refused_by_name(wrong, named):
    with pytest.raises(ConfigError, match=named):
        Up(**wrong)


@pytest.mark.parametrize("story", STORIES)
def test_every_schedule_can_be_read_by_the_session(story):
    session = next(process for process in processes(story).values() if process.is_session)
    assert [parse_block(text) for text in session.parameters["schedule"]]


def test_warm_up_and_online_draw_different_scenes():
    blocks = [parse_block(text) for text in processes("finetune")["policy_node"].parameters["schedule"]]
    warmup, online = blocks
    assert (warmup.steps, online.steps) == (Finetune.warmup_steps, Finetune.online_steps)
    assert online.first_seed - warmup.first_seed > warmup.steps


def test_in_lockstep_the_policy_waits_for_the_learner_and_on_a_robot_it_does_not():
    assert processes("finetune")["policy_node"].parameters["max_updates_owed"] == 0
    assert processes("finetune", realtime_factor=1.0)["policy_node"].parameters["max_updates_owed"] < 0


def test_the_policy_and_the_learner_start_from_the_same_checkpoint():
    nodes = processes("finetune", checkpoint="runs/pretrain/checkpoint")
    assert {nodes[name].parameters["checkpoint"] for name in ("policy_node", "learner_node")} == {
        "runs/pretrain/checkpoint"
    }


def test_demonstrations_go_to_bags_and_the_policy_s_episodes_to_the_store():
    assert processes("collect", run_dir="r")["recorder_node"].parameters["bags"] == "r/bags"
    for story in ("evaluate", "finetune"):
        assert processes(story, run_dir="r")["recorder_node"].parameters["store"] == "r/episodes.zarr"


@pytest.mark.parametrize("settings", [Collect, Evaluate, Finetune])
def test_every_setting_says_what_it_is(settings):
    for field in dataclasses.fields(settings):
        assert field.metadata["help"].strip(), field.name
