"""The command line: codes that scripts can trust, and errors of one line."""

from __future__ import annotations

import importlib.util
from types import ModuleType, SimpleNamespace

import pytest

from o2o_robot import cli
from o2o_robot.errors import GraphError
from o2o_robot.graph import Collect, Finetune, Up


@pytest.fixture
def up(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """`o2o up` without a graph: remembers what it was asked for, and answers as told."""
    told = SimpleNamespace(asked=None, answer=0)

    def run(story: str, settings: Up) -> int:
        told.asked = (story, settings)
        if isinstance(told.answer, BaseException):
            raise told.answer
        return int(told.answer)

    module = ModuleType("up")
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setattr(cli.importlib, "import_module", lambda name: module)
    return told


def test_options_become_the_settings_of_the_graph(up):
    words = ["up", "finetune", "--checkpoint", "c", "--utd", "4", "--resume", "--realtime-factor", "1.0"]
    assert cli.main(words) == 0
    assert up.asked == ("finetune", Finetune(checkpoint="c", utd=4, resume=True, realtime_factor=1.0))


def test_without_options_the_defaults_hold(up):
    cli.main(["up", "collect"])
    assert up.asked == ("collect", Collect())


def test_a_dead_node_is_code_1_and_its_words_without_a_traceback(up, capsys):
    up.answer = GraphError("twin_node was killed by SIGKILL")
    assert cli.main(["up", "collect"]) == 1
    assert capsys.readouterr().err == "o2o up: twin_node was killed by SIGKILL\n"


def test_a_wrong_setting_is_code_1_and_one_line(up, capsys):
    assert cli.main(["up", "collect", "--robot", "panda"]) == 1
    assert "no robot 'panda'" in capsys.readouterr().err


def test_an_interrupt_is_code_130(up):
    up.answer = KeyboardInterrupt()
    assert cli.main(["up", "collect"]) == 130


def test_a_mistake_of_ours_is_not_hidden(up):
    up.answer = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        cli.main(["up", "collect"])


def test_an_unknown_story_is_code_2_and_the_known_ones_are_told(capsys):
    assert cli.main(["colect"]) == 2
    said = capsys.readouterr().err
    assert "no 'colect'" in said
    assert all(story in said for story in cli.STORIES)


def test_help_is_code_0_and_no_word_at_all_is_code_2(capsys):
    assert cli.main(["--help"]) == 0
    assert cli.main([]) == 2


@pytest.mark.parametrize("words", [["up", "collect", "--episodes", "many"], ["up", "dance"], ["up"]])
def test_a_command_line_that_is_wrong_is_code_2(up, words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2


@pytest.mark.parametrize("story", cli.STORIES)
def test_every_story_that_is_offered_is_there(story):
    assert importlib.util.find_spec(cli.STORIES[story].module) is not None
