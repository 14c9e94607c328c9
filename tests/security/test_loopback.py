"""Every way in starts nodes that nobody on another machine finds, unless the shell says how far they reach."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from dataclasses import fields
from pathlib import Path

import pytest
from test_no_code_from_data import REPO

from o2o_robot import launching, overlay
from o2o_robot.apps import label
from o2o_robot.graph import Process

RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
BARE = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


def said(words: list[str], **variables: str) -> str:
    told = subprocess.run(words, capture_output=True, text=True, cwd=REPO, env=BARE | variables, check=True)
    return told.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize(("told", "then"), [({}, "LOCALHOST"), ({RANGE: "SUBNET"}, "SUBNET")])
def test_a_sourced_shell_and_every_make_target_stay_on_this_machine(told, then):
    if not (REPO / "ros_ws" / "install" / "local_setup.bash").is_file():
        pytest.skip("nothing is built; run make setup")
    assert said(["bash", "-c", f". scripts/env.sh; echo ${RANGE}"], **told) == then
    shown = f"show:; @echo $${RANGE}"
    assert said(["make", "-s", "--eval", shown, "show"], **told) == then


@pytest.mark.parametrize(
    ("shell", "given"),
    [
        ({}, {RANGE: "LOCALHOST"}),
        ({"ROS_DISTRO": "jazzy"}, {RANGE: "LOCALHOST"}),
        ({"ROS_DISTRO": "humble"}, {"ROS_LOCALHOST_ONLY": "1"}),
        ({RANGE: "SUBNET"}, {}),
        ({"ROS_LOCALHOST_ONLY": "0"}, {}),
    ],
)
def test_what_a_node_is_given_is_what_its_release_knows(shell, given):
    assert overlay.discovery(shell) == given


def test_nodes_of_a_launch_file_are_given_it_too(monkeypatch, tmp_path):
    made = {}
    actions = types.ModuleType("launch_ros.actions")
    actions.Node = lambda **settings: made.update(settings)  # type: ignore[attr-defined]
    for name, module in {"launch_ros": types.ModuleType("launch_ros"), "launch_ros.actions": actions}.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delenv(RANGE, raising=False)
    monkeypatch.delenv("ROS_LOCALHOST_ONLY", raising=False)
    launching._node(Process("arm_node", {}), Path(tmp_path))
    assert made["additional_env"][RANGE] == "LOCALHOST"


def test_the_labelling_page_listens_on_this_machine_unless_told():
    hosts = {field.name: field.default for field in fields(label.Labelling) if field.name == "host"}
    assert hosts == {"host": "127.0.0.1"}
