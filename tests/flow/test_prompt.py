"""Keys at a prompt: each has its deed, and the same letter as at a keyboard that moves the arm."""

from __future__ import annotations

import io
import os
import pty
from pathlib import Path

import pytest

from o2o_robot.apps.up import prompt_of
from o2o_robot.flow import prompt
from o2o_robot.flow.keys import KEYS, LABELS, LEGEND, TRIGGERS
from o2o_robot.graph import Evaluate, Process
from o2o_robot.progress import SessionProgress
from o2o_robot.teleop.keyboard import Keyboard


def test_every_key_is_served_by_somebody():
    assert set(KEYS.values()) == {*LABELS, *TRIGGERS}


def test_the_prompt_and_a_keyboard_that_moves_the_arm_mean_the_same_by_the_same_letter():
    buttons = vars(Keyboard.buttons)
    shared = {deed: key for key, deed in KEYS.items() if deed in buttons}
    assert len(shared) >= 8
    assert shared == {deed: buttons[deed] for deed in shared}


def test_the_legend_names_every_letter():
    told = LEGEND.lower()
    assert not [key for key in KEYS if key not in ("enter", "space") and f"· {key} " not in told]
    assert "space stop" in told


def test_without_a_terminal_on_standard_input_there_is_no_prompt(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert prompt.my_terminal() == ""
    session = [Process("policy_node", {}, is_session=True)]
    with prompt_of(session, Evaluate(), tmp_path) as found:
        assert found is None
    assert not (tmp_path / "logs").exists(), "nothing was started"


def test_a_terminal_in_whose_foreground_somebody_else_is_is_left_alone(monkeypatch):
    ours, theirs = pty.openpty()
    monkeypatch.setattr("sys.stdin", os.fdopen(theirs))
    assert prompt.my_terminal() == "", "it is not this process's own: reading would stop it"
    os.close(ours)


class Heard:
    """What a prompt heard, without a process."""

    def __init__(self) -> None:
        self.told = {"session": {"state": ""}, "guard": {"state": ""}}

    def answers(self) -> list:
        return []


@pytest.mark.parametrize(
    ("session", "line"),
    [
        ({"state": "running", "episode": "online-000003", "step": 4, "max_steps": 50}, "online-000003: step 4 of 50"),
        ({"state": "asking", "waits_for": "how it ended [really]"}, "asking: how it ended [really]"),
        ({"state": "done", "waits_for": ""}, "done"),
    ],
)
def test_the_line_says_what_the_session_does_and_whom_it_waits_for(tmp_path: Path, session, line):
    heard = Heard()
    progress = SessionProgress("finetune", tmp_path, told=heard, legend=LEGEND)
    heard.told = {"session": session, "guard": {"state": "LATCHED", "reasons": ["emergency stop"]}}
    progress.tell()
    shown = progress._bar.tasks[0].description.replace("\\[", "[")
    assert line in shown
    assert "guard LATCHED (emergency stop)" in shown
    assert LEGEND in shown
