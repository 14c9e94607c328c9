"""`o2o collect`: what a new run is told, and what taking one up again takes from its folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from o2o_robot import cli, run_folder
from o2o_robot.apps import up
from o2o_robot.graph import Collect


@pytest.fixture
def brought_up(monkeypatch: pytest.MonkeyPatch) -> list[Collect]:
    """The graphs that were brought up: a run that ends well at once."""
    runs: list[Collect] = []

    def run(story: str, settings: Collect, *, patience_s: float = 0.0) -> int:
        assert story == "collect"
        runs.append(settings)
        Path(settings.run_dir).mkdir(parents=True, exist_ok=True)
        run_folder.save(Path(settings.run_dir), story, settings, {})
        return 0

    monkeypatch.setattr(up, "run", run)
    return runs


def test_without_a_device_it_is_the_scripted_experts_graph(tmp_path, brought_up):
    assert cli.main(["collect", "--task", "reach", "--episodes", "7", "--run-dir", str(tmp_path / "run")]) == 0
    assert brought_up == [Collect(task="reach", episodes=7, run_dir=str(tmp_path / "run"))]


def test_for_a_person_the_twins_time_passes_as_theirs_does(tmp_path, brought_up):
    words = ["--device", "keyboard", "--run-dir", str(tmp_path / "run")]
    assert cli.main(["collect", *words]) == 0
    (settings,) = brought_up
    assert (settings.teleop, settings.realtime_factor) == ("keyboard", 1.0)


def test_a_run_is_taken_up_with_the_settings_it_was_begun_with_and_a_second_never_written_over_it(
    tmp_path, brought_up, capsys
):
    run = str(tmp_path / "run")
    assert cli.main(["collect", "--device", "gamepad", "--episodes", "9", "--run-dir", run]) == 0
    assert cli.main(["collect", "--resume", run]) == 0
    begun, again = brought_up
    assert again == dataclasses.replace(begun, resume=True)
    assert cli.main(["collect", "--run-dir", run]) == 1
    assert "--resume" in capsys.readouterr().err
    assert cli.main(["collect", "--resume", run, "--device", "keyboard", "--episodes", "3"]) == 1
    assert "leave out --episodes, --device" in capsys.readouterr().err
    assert len(brought_up) == 2


def test_a_device_that_there_is_not_is_refused_before_anything_starts(tmp_path, brought_up, capsys):
    assert cli.main(["collect", "--device", "joystik", "--run-dir", str(tmp_path / "run")]) == 1
    assert "joystik" in capsys.readouterr().err
    assert brought_up == []
