"""The report's section on what people did: there where somebody did something, with its hint, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
from run_examples import N_STEPS, a_finetuning

from o2o_robot.report.gather import gather
from o2o_robot.report.interventions import interventions
from o2o_robot.report.page import write_report


def a_run(folder: Path, *, steps_human: int, times: int, n: int = 24) -> Path:
    """Warm-up, then n online episodes that all succeed, each with so much help."""
    run = a_finetuning(folder, [("warmup", False), *[("online", True)] * n])
    log = run / "episodes.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    helped = [{**line, "steps_human": steps_human, "interventions": times} for line in lines[1:]]
    log.write_text("".join(json.dumps(line) + "\n" for line in [lines[0], *helped]))
    return run


def test_nobody_s_run_has_no_section(tmp_path: Path) -> None:
    run = a_run(tmp_path, steps_human=0, times=0, n=3)
    assert interventions(gather(run)).plots == ()
    assert "What the person did" not in write_report(run).read_text()


def test_a_helped_run_shows_its_counts_its_figure_and_the_hint(tmp_path: Path) -> None:
    run = a_run(tmp_path, steps_human=4, times=1)
    found = interventions(gather(run))
    assert found.rows[0] == ("interventions", "24, 1.00 an online episode")
    assert found.rows[2] == ("steps by hand", f"96, {round(400 / N_STEPS)} % of the online steps")
    assert found.hint.startswith("Give the arm back sooner")
    page = write_report(run).read_text()
    assert "What the person did" in page
    assert "Give the arm back sooner" in page
    assert (run / "figures" / "interventions.png").stat().st_size > 5000
