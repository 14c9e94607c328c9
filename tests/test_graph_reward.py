"""Who judges in a graph: the twin unless told, else reward_node alone, with the truth kept aside."""

from __future__ import annotations

from pathlib import Path

import pytest

from o2o_robot.errors import ConfigError
from o2o_robot.graph import STORIES, Process, Up
from o2o_robot.graph_reward import TRUTH_TOPIC

SHARE = Path("/share")


def processes(story: str, **settings: object) -> dict[str, Process]:
    settings_of, describe = STORIES[story]
    return {process.name: process for process in describe(settings_of(**settings), SHARE)}


@pytest.mark.parametrize("story", STORIES)
def test_unless_told_the_twin_judges_and_nobody_else_is_there(story: str) -> None:
    nodes = processes(story)
    assert "reward_node" not in nodes
    assert "task_state_topic" not in nodes["twin_node"].parameters
    assert all("truth_topic" not in process.parameters for process in nodes.values())


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("source", ["topic", "pose", "wrench", "keys"])
def test_a_rule_judges_in_the_twins_place_which_speaks_aside(story: str, source: str) -> None:
    nodes = processes(story, reward=source)
    judge = nodes["reward_node"].parameters
    assert (judge["publish_task_state"], judge["source"]) == (True, source)
    assert nodes["twin_node"].parameters["task_state_topic"] == TRUTH_TOPIC
    hears = {name for name, process in nodes.items() if process.parameters.get("truth_topic") == TRUTH_TOPIC}
    assert hears == ({"teleop_node"} if story == "collect" else set()), "a policy's session must not hear the truth"


def test_a_played_person_beside_a_policy_hears_the_truth_and_the_policy_does_not() -> None:
    nodes = processes("finetune", reward="pose", teleop="simulated")
    assert nodes["teleop_node"].parameters["truth_topic"] == TRUTH_TOPIC
    assert "truth_topic" not in nodes["policy_node"].parameters
    assert nodes["policy_node"].parameters["ask_outcome"] == "always"


def test_a_classifier_looks_at_the_same_pictures_as_the_policy(tmp_path: Path) -> None:
    (tmp_path / "reward.json").write_text("{}")
    for robot in ("twin", "fr3"):
        nodes = processes("evaluate", robot=robot, reward=str(tmp_path))
        judge, policy = nodes["reward_node"].parameters, nodes["policy_node"].parameters
        assert judge["classifier"] == str(tmp_path)
        assert judge["image_topic"] == policy["image_topic"]


def test_a_judge_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither a folder of `o2o reward train`"):
        Up(reward=str(tmp_path))


def test_the_share_of_human_steps_reaches_the_learner() -> None:
    assert processes("finetune", intervention_share=0.5)["learner_node"].parameters["intervention_share"] == 0.5
    assert processes("finetune")["learner_node"].parameters["intervention_share"] == 0.0
