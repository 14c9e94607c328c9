"""A person's device in a graph: beside a policy never the session, in `collect` it is; without one all is as ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from o2o_robot.errors import ConfigError
from o2o_robot.graph import STORIES, Process, Up
from o2o_robot.graph_teleop import PEOPLE, PLAYED
from o2o_robot.teleop.open_device import DEVICES

SHARE = Path(__file__).resolve().parents[1] / "launch"


def processes(story: str, **settings: object) -> dict[str, Process]:
    settings_of, describe = STORIES[story]
    return {process.name: process for process in describe(settings_of(**settings), SHARE)}


@pytest.mark.parametrize("story", ["evaluate", "finetune"])
@pytest.mark.parametrize("factor", [0.0, 1.0])
def test_beside_a_policy_a_device_takes_over_and_the_arm_awaits_its_word_in_lockstep_alone(story, factor):
    nobody, somebody = (processes(story, realtime_factor=factor, teleop=device) for device in ("", "twist"))
    assert somebody.keys() - nobody.keys() == {"teleop_node"}
    hand = somebody.pop("teleop_node")
    assert not hand.is_session
    assert (hand.parameters["device"], hand.parameters["beside_policy"]) == ("twist", True)
    told = somebody.pop("arm_node").parameters
    assert told.pop("awaits_teleop", False) is (factor == 0.0)
    assert told == nobody.pop("arm_node").parameters
    assert somebody == nobody


@pytest.mark.parametrize("device", PEOPLE)
def test_a_person_who_demonstrates_is_the_session_is_counted_down_for_and_asked(device):
    session = processes("collect", teleop=device, countdown_s=2.0)["teleop_node"]
    assert session.is_session
    told = {"device": device, "countdown_s": 2.0, "ask_outcome": "always"}
    assert told.items() <= session.parameters.items()


@pytest.mark.parametrize("device", ["", *PLAYED])
def test_what_stands_in_for_a_person_is_neither_waited_for_nor_asked(device):
    told = processes("collect", teleop=device)["teleop_node"].parameters
    assert not {"countdown_s", "ask_outcome"} & told.keys()
    assert told.get("device", "") == device


def test_the_graph_knows_the_very_devices_that_can_be_opened():
    assert {*PEOPLE, *PLAYED} == DEVICES.keys()


@pytest.mark.parametrize(
    ("wrong", "named"), [({"teleop": "joystik"}, "joystik"), ({"teleop": "simulated", "robot": "fr3"}, "fr3")]
)
def test_an_impossible_device_is_refused_by_name(wrong, named):
    with pytest.raises(ConfigError, match=named):
        Up(**wrong)


def test_settings_of_a_cell_reach_the_device(tmp_path):
    cell = tmp_path / "cell.yaml"
    cell.write_text("/**/teleop_node:\n  ros__parameters:\n    axes:\n      frame: tool\n")
    for story in STORIES:
        told = processes(story, teleop="joy", params_file=str(cell))["teleop_node"].parameters
        assert told["axes"] == {"frame": "tool"}
