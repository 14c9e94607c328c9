"""The story of a run: time on the robot, who moved it, what was lost; of whole runs, killed ones and any one graph."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from run_examples import N_STEPS, a_finetuning

from o2o_robot.jsonfile import append_line, write_json
from o2o_robot.report import budget
from o2o_robot.report.accounts import accounts
from o2o_robot.report.gather import gather
from o2o_robot.report.page import write_report
from o2o_robot.report.story import watched
from o2o_robot.report.timeline import human_share, stretches, takeovers, timeline
from o2o_robot.types import Source

P, T = int(Source.POLICY), int(Source.TELEOP)
EPISODES = [("warmup", False), ("warmup", False), ("online", True), ("eval", True), ("eval", False), ("online", True)]


def test_the_share_of_human_steps_and_the_takeovers_are_of_the_stored_sources():
    assert takeovers(np.array([P, T, T, P, T, P])) == 2
    assert takeovers(np.array([T, T])) == 1
    assert human_share(np.array([P, T, T, P])) == 0.5
    assert (takeovers(np.zeros(0)), human_share(np.zeros(0))) == (0, 0.0)


def test_robot_minutes_are_those_of_episodes_and_modes_part_the_session(tmp_path):
    rows, lacks = timeline(gather(a_finetuning(tmp_path, EPISODES, human=(1, 2))), "finetune")
    assert lacks == ""
    assert [row.end_min for row in rows] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert [(s.mode, s.first, s.last) for s in stretches(rows)] == [
        ("warmup", 0, 1),
        ("online", 2, 2),
        ("eval", 3, 4),
        ("online", 5, 5),
    ]
    assert all(row.takeovers == 1 and row.human_share == 2 / N_STEPS for row in rows)
    assert all(sum(row.reasons.values()) == 1 for row in rows)


def test_an_episode_that_the_store_does_not_have_stays_in_the_story(tmp_path):
    run = a_finetuning(tmp_path, EPISODES)
    append_line(run / "episodes.jsonl", {"id": "online-9", "mode": "online", "outcome": "failure", "n_steps": 3})
    rows, _ = timeline(gather(run), "finetune")
    assert (len(rows), rows[-1].is_stored) == (7, False)
    assert rows[-1].end_min == pytest.approx(3.0 + 0.3 / 60)


def test_the_watch_stands_at_the_episodes_it_counted_and_forgets_the_run_before(tmp_path):
    run = a_finetuning(tmp_path, EPISODES)
    for event in ({"event": "episode", "p_worse": 0.9}, {"event": "began"}):
        append_line(run / "policy.jsonl", event)
    for p in (None, None, 0.2, 0.999):
        append_line(run / "policy.jsonl", {"event": "episode", "p_worse": p})
    append_line(run / "policy.jsonl", {"event": "went_back", "from": 3, "to": 0})
    facts = gather(run)
    found = watched(facts, timeline(facts, "finetune")[0])
    assert [v.at_min for v in found.verdicts] == [0.5, 1.0, 1.5, 3.0]  # evaluations are not counted
    assert math.isnan(found.verdicts[0].p_worse)
    assert found.went_back_min == (3.0,)


def test_steps_that_were_published_and_not_stored_are_said(tmp_path):
    run = a_finetuning(tmp_path, EPISODES)
    (row,) = accounts(gather(run))
    assert (row.agrees, row.discarded) == (True, "none")
    write_json(run / "recorder_node.json", {"steps_stored": 30, "episodes_discarded": {"frames missing": 1}})
    (row,) = accounts(gather(run))
    assert (row.agrees, row.discarded) == (False, "1 frames missing")
    assert "6 steps were published and not stored" in row.why


def test_a_folder_of_fine_tuning_alone_tells_of_itself_and_misses_no_other_stage(tmp_path):
    page = write_report(a_finetuning(tmp_path, EPISODES, human=(3,))).read_text()
    for words in ("peg: fine-tuning", "frozen policy (warm-up)", "The first of 3 successes", "How it fails", "Person:"):
        assert words in page, words
    assert "evaluate_pretrained" not in page
    assert (tmp_path / "figures" / "story.png").is_file()


@pytest.mark.parametrize("torn", ["", '{"id": "online-7", "mode"'])
def test_a_run_that_was_killed_after_its_first_episode_has_a_page(tmp_path, torn):
    run = a_finetuning(tmp_path, EPISODES[:1])
    for name in ("policy_node.json", "recorder_node.json", "learner_node.json", "run.json"):
        (run / name).unlink()
    with (run / "episodes.jsonl").open("a") as log:
        log.write(torn)
    page = write_report(run).read_text()
    assert "No person took the arm over" in page
    assert "Traceback" not in page


@pytest.mark.parametrize("story", ["collect", "evaluate"])
def test_a_folder_of_one_other_graph_has_a_page_of_its_own(tmp_path, story):
    mode = {"collect": "demo", "evaluate": "eval"}[story]
    run = a_finetuning(tmp_path, [(mode, True), (mode, False)])
    told = json.loads((run / "run.json").read_text())
    write_json(run / "run.json", {**told, "story": story})
    (run / "learner_node.json").unlink()
    page = write_report(run).read_text()
    assert "1 of 2 episodes" in page
    assert "How the learning went" not in page


def test_a_page_has_no_more_pictures_than_its_budget_and_leaves_out_the_largest():
    from o2o_robot.report.plots import Plot

    plots = [Plot(str(k), "", b"x" * size) for k, size in enumerate((10, 500, 20, 300))]
    assert budget.left_out(plots, most=400) == {1}
    assert budget.left_out(plots, most=830) == set()
    assert budget.left_out(plots, most=0) == {0, 1, 2, 3}
