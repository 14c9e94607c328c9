"""The console in a graph: one process more where it is asked for, and none that the others would notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from o2o_robot.graph import STORIES

SHARE = Path(__file__).resolve().parents[2] / "launch"


@pytest.mark.parametrize("story", STORIES)
def test_a_console_is_one_process_more_and_changes_no_other(story):
    settings, describe = STORIES[story]
    without = describe(settings(), SHARE)
    with_it = describe(settings(console=True, console_port=0), SHARE)
    assert [one for one in with_it if one.name != "console_node"] == without
    (console,) = [one for one in with_it if one.name == "console_node"]
    assert console.parameters["host"] == "127.0.0.1"
    assert console.restarts > 0
    assert not console.is_session
