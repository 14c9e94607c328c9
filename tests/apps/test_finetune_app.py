"""`o2o finetune`: what a new run is told, and what taking one up again takes from its folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from o2o_robot import cli, run_folder
from o2o_robot.apps import finetune, up
from o2o_robot.graph import Finetune
from o2o_robot.jsonfile import write_json


@pytest.fixture
def brought_up(monkeypatch: pytest.MonkeyPatch) -> list[Finetune]:
    """The graphs that were brought up: a run that ends well at once."""
    runs: list[Finetune] = []

    def run(story: str, settings: Finetune, *, patience_s: float = 0.0, beside: up.Beside) -> int:
        assert story == "finetune"
        runs.append(settings)
        write_json(Path(settings.run_dir) / "policy_node.json", {"first_action_s": 4.5})
        run_folder.save(Path(settings.run_dir), story, settings, {})
        return 0

    monkeypatch.setattr(up, "run", run)
    return runs


def test_a_run_is_taken_up_with_the_settings_it_was_begun_with(tmp_path, brought_up, capsys):
    words = ["--checkpoint", "some/checkpoint", "--utd", "4", "--warmup-precision", "0.2", "--task", "reach"]
    assert cli.main(["finetune", "--run-dir", str(tmp_path / "run"), *words]) == 0
    assert cli.main(["finetune", "--resume", str(tmp_path / "run")]) == 0
    begun, again = brought_up
    assert (begun.utd, begun.warmup_precision, begun.task, begun.resume) == (4, 0.2, "reach", False)
    assert Path(begun.checkpoint).is_absolute(), "it is found again from another folder"
    assert again == dataclasses.replace(begun, resume=True)
    assert "first action after 4.5 s" in capsys.readouterr().out


def test_settings_beside_resume_are_refused_by_name(tmp_path, brought_up, capsys):
    cli.main(["finetune", "--run-dir", str(tmp_path / "run")])
    assert cli.main(["finetune", "--resume", str(tmp_path / "run"), "--online-steps", "7", "--utd", "3"]) == 1
    assert "leave out --online-steps, --utd" in capsys.readouterr().err
    assert len(brought_up) == 1


def test_a_second_run_is_not_written_over_a_first(tmp_path, brought_up, capsys):
    assert cli.main(["finetune", "--run-dir", str(tmp_path)]) == 0
    assert cli.main(["finetune", "--run-dir", str(tmp_path)]) == 1
    assert f"go on with --resume {tmp_path}" in capsys.readouterr().err


def test_what_is_no_run_is_refused_in_one_line(tmp_path, brought_up, capsys):
    assert cli.main(["finetune", "--resume", str(tmp_path / "nowhere")]) == 1
    assert "is no run's folder" in capsys.readouterr().err
    assert brought_up == []


def test_it_takes_every_setting_of_the_graph_but_those_it_decides_itself():
    assert {f.name for f in dataclasses.fields(finetune.Begin)} == {
        f.name for f in dataclasses.fields(Finetune) if f.name not in ("resume", "begin_paused")
    }
