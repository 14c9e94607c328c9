"""The benchmark of the played person: what it counts, what it copies, and that an arm's figure can be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("torch")
pytest.importorskip("o2o_sim.engine", reason="needs mujoco")
from operating.arms import ARMS, Sizes
from operating.figure import draw
from operating.table import table, thirds
from operating.work import Bench, Copies


def a_row(arm: str = "right") -> dict[str, Any]:
    """Warm-up, then nine online episodes of ten steps with 3, 3, 3, 2, 2, 2, 0, 0, 0 interventions."""
    counts = [3, 3, 3, 2, 2, 2, 0, 0, 0]
    training = [{"mode": "warmup", "steps_before": 0, "n_steps": 50, "steps_human": 0, "interventions": 0}]
    for k, n in enumerate(counts):
        training.append(
            {"mode": "online", "steps_before": 50 + 10 * k, "n_steps": 10, "steps_human": 2 * n, "interventions": n}
        )
    return {
        "arm": arm,
        "title": arm,
        "seed": 0,
        "training": training,
        "evaluate": {"episodes": 30, "successes": {"0": 10, "40": 15, "90": 25}},
        "classify": {"held_out": {"precision": 1.0, "recall": 0.9}},
        "label": {"wrong": 0, "episodes": 80},
        "learn_online": {"labels": 10, "labels_wrong": 0, "judged_wrong": 1},
    }


def test_thirds_are_of_the_online_steps_alone() -> None:
    assert thirds(a_row(), "interventions") == [3.0, 2.0, 0.0]
    assert thirds({**a_row(), "training": []}, "interventions") == []


def test_a_row_becomes_lines_and_a_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [a_row(arm.name) for arm in ARMS]
    table(rows)
    assert "0: 10/30  40: 15/30  90: 25/30" in capsys.readouterr().out
    draw(rows, tmp_path / "operator.png")
    assert (tmp_path / "operator.png").read_bytes().startswith(b"\x89PNG")


def test_a_checkpoint_that_is_half_written_is_not_taken_for_a_copy(tmp_path: Path) -> None:
    source = tmp_path / "checkpoint"
    copies = Copies(source, tmp_path / "copies")
    copies.look()
    source.mkdir()
    (source / "manifest.json").write_text("{}")
    copies.look()
    assert not list((tmp_path / "copies").glob("*"))


def test_a_stage_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "right", ARMS[0], Sizes(), seed=0)
    calls: list[int] = []
    for _ in range(2):
        assert bench.once("label", lambda: calls.append(1) or {"wrong": 3}) == {"wrong": 3}  # type: ignore[func-returns-value]
    assert len(calls) == 1
