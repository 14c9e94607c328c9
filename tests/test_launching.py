"""Launch files say what the graph says: the same names, defaults and order, with or without ROS's `launch`."""

from __future__ import annotations

import ast
import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from o2o_robot.errors import ConfigError, GraphError
from o2o_robot.graph import PARTS, STORIES, Collect, Finetune, Process
from o2o_robot.launching import OrderDown, arguments, describe, from_words

LAUNCH = Path(__file__).resolve().parents[1] / "launch"


def graph() -> list[Process]:
    names = ("twin_node", "arm_node", "recorder_node", "learner_node")
    return [*(Process(name, {}) for name in names), Process("policy_node", {}, is_session=True)]


@pytest.mark.parametrize("story", STORIES | PARTS)
def test_every_story_has_a_launch_file_that_describes_it(story):
    tree = ast.parse((LAUNCH / f"{story}.launch.py").read_text())
    (made,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert made.name == "generate_launch_description"
    assert ast.unparse(made.body[-1]) == f"return describe('{story}')"


@pytest.mark.parametrize("settings", [settings for settings, _ in STORIES.values()])
def test_arguments_are_the_settings_and_their_defaults_give_the_default_settings(settings):
    declared = arguments(settings)
    assert list(declared) == [field.name for field in dataclasses.fields(settings)]
    assert from_words(settings, {name: default for name, (default, _) in declared.items()}) == settings()


def test_words_become_numbers_and_truths():
    words = {"episodes": "3", "noise": "0.25", "run_dir": "runs/007"}
    assert from_words(Collect, words) == Collect(episodes=3, noise=0.25, run_dir="runs/007")
    assert [from_words(Finetune, {"resume": word}).resume for word in ("true", "True", "1", "false", "0")] == [
        True,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(("name", "word"), [("episodes", "three"), ("episodes", "1.5"), ("noise", "loud")])
def test_a_word_that_is_no_such_number_is_refused_by_the_argument_s_name(name, word):
    with pytest.raises(ConfigError, match=rf"argument {name} is '{word}'"):
        from_words(Collect, {name: word})


def test_after_a_session_that_ended_well_the_others_go_in_order_and_nothing_is_raised():
    order, name, gone = OrderDown(graph()), "policy_node", []
    while (name := order.next_after(name, 0)) is not None:
        gone.append(name)
    assert gone == ["learner_node", "recorder_node", "arm_node", "twin_node"]


@pytest.mark.parametrize("dead", ["twin_node", "recorder_node", "policy_node"])
def test_after_a_death_the_others_go_in_order_and_then_the_dead_one_is_named(dead):
    order, gone = OrderDown(graph()), []
    name = order.next_after(dead, -9)
    for _ in range(3):
        assert name is not None
        gone.append(name)
        name = order.next_after(name, 0)
    assert name is not None
    with pytest.raises(GraphError, match=f"{dead} was killed by SIGKILL"):
        order.next_after(name, 0)
    gone.append(name)
    down = ["policy_node", "learner_node", "recorder_node", "arm_node", "twin_node"]
    assert gone == [other for other in down if other != dead]


def test_a_node_that_leaves_with_0_before_the_session_is_a_death():
    order = OrderDown(graph()[1:2])
    with pytest.raises(GraphError, match="arm_node ended with code 0"):
        order.next_after("arm_node", 0)


def test_a_node_that_may_is_started_again_so_often_and_never_while_the_others_go_down():
    order = OrderDown(
        [Process("learner_node", {}, restarts=2), *graph()[:2], Process("policy_node", {}, is_session=True)]
    )
    assert [order.starts_again("learner_node") for _ in range(3)] == [True, True, False]
    assert not order.starts_again("arm_node")
    order = OrderDown([Process("learner_node", {}, restarts=2), Process("policy_node", {}, is_session=True)])
    assert order.next_after("policy_node", 0) == "learner_node"
    assert not order.starts_again("learner_node")


def test_launch_files_need_nothing_that_a_system_ros_lacks():
    """`ros2 launch` runs with the system's Python: the standard library, yaml, and numpy."""
    script = (
        "import sys; import o2o_robot.launching; "
        "print(*sorted({n.split('.')[0] for n in sys.modules} & {'cattrs', 'rich', 'tyro', 'zarr', 'torch'}))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == []


@pytest.mark.parametrize("story", STORIES)
def test_the_description_declares_every_argument(story):
    actions = pytest.importorskip("launch.actions")
    declared = [entity for entity in describe(story).entities if isinstance(entity, actions.DeclareLaunchArgument)]
    assert [argument.name for argument in declared] == list(arguments(STORIES[story][0]))
    assert all(argument.description for argument in declared)
