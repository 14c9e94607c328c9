"""The Foxglove layouts: every panel that is placed is set up, every field they name is one of our messages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[2]
LAYOUTS = sorted((REPO / "launch" / "foxglove").glob("*.json"))
OURS = {
    "executed_action": "ExecutedAction",
    "task_state": "TaskState",
    "safety_state": "SafetyState",
    "session_state": "SessionState",
    "learner_state": "LearnerState",
    "policy_state": "PolicyState",
    "reward_state": "RewardState",
}


def placed(node: Any) -> list[str]:
    """The panels of a mosaic, whose inner nodes have two sides."""
    if isinstance(node, str):
        return [node]
    assert node["direction"] in ("row", "column")
    return [*placed(node["first"]), *placed(node["second"])]


@pytest.mark.parametrize("path", LAYOUTS, ids=lambda path: path.stem)
def test_every_panel_is_placed_once_and_set_up(path):
    layout = json.loads(path.read_text())
    assert {"configById", "globalVariables", "userNodes", "playbackConfig", "layout"} == set(layout)
    tabs = layout["configById"]["Tab!right"]["tabs"]
    panels = [*placed(layout["layout"]), *(panel for tab in tabs for panel in placed(tab["layout"]))]
    assert sorted(panels) == sorted(layout["configById"])


@pytest.mark.parametrize("path", LAYOUTS, ids=lambda path: path.stem)
def test_every_field_that_is_drawn_is_one_of_its_message(path):
    drawn = re.findall(r'"value": "/?(\w+)\.(\w+)', path.read_text())
    ours = [(topic, field) for topic, field in drawn if topic in OURS]
    assert len(ours) > 8
    for topic, field in ours:
        text = (REPO / "ros_ws/src/o2o_msgs/msg" / f"{OURS[topic]}.msg").read_text()
        assert re.search(rf"^\S+ +{field}\b", text, re.MULTILINE), f"{OURS[topic]} has no {field}"


def test_the_layout_of_bags_differs_in_the_names_of_their_topics_alone():
    live, bags = (json.loads((REPO / "launch/foxglove" / name).read_text()) for name in ("o2o.json", "o2o_bags.json"))
    assert json.dumps(live).replace('"/', '"') == json.dumps(bags).replace('"/', '"')
    assert live != bags
