"""A run folder from elsewhere, given to the report: torn, foreign and huge values end in a page that says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("torch")
from o2o_robot.errors import O2OError
from o2o_robot.jsonfile import append_line, read_json, read_lines, write_json
from o2o_robot.report.page import write_report

SCRIPT = "<script>alert(1)</script>"
STAGES = ("collect", "evaluate_pretrained", "finetune", "evaluate_finetuned")


def a_run(folder: Path) -> Path:
    """The logs of a demo: what other people send."""
    write_json(folder / "settings.json", {"task": SCRIPT, "seed": 0, "first_seed": 900_000})
    write_json(folder / "summary.json", {"task": SCRIPT, "demo_episodes": 2, "robot_s": 9.0, "stages": [], "nodes": []})
    for stage in STAGES:
        for seed in range(4):
            line = {"id": f"{SCRIPT}-{seed}", "mode": "eval", "seed": seed, "outcome": "success", "n_steps": 6}
            append_line(folder / stage / "episodes.jsonl", line | {"steps_before": 6 * seed, "steps_changed": 1})
        write_json(folder / stage / "arm_node.json", {"commands": 60, "interventions": 9, "reasons": {SCRIPT: 9}})
        write_json(folder / stage / "processes.json", {"nodes": [{"name": SCRIPT, "pid": 7, "exit_code": 0}]})
        (folder / stage / "params").mkdir(parents=True)
        (folder / stage / "params" / "arm_node.yaml").write_text(
            f'/**/arm_node:\n  ros__parameters: {{a: "{SCRIPT}"}}\n'
        )
    for k in range(1, 5):
        append_line(folder / "pretrain/metrics.jsonl", {"step": 50 * k, "td_loss": 1.0 / k})
        append_line(folder / "finetune/learner.jsonl", {"update": 4 * k, "step": 12 + k, "td_loss": 0.5})
    append_line(
        folder / "finetune/alarms.jsonl", {"step": 3, "update": 8, "name": SCRIPT, "what": SCRIPT, "advice": SCRIPT}
    )
    return folder


VALUES = [float("nan"), float("inf"), -1e308, 10**400, "x" * 10_000, SCRIPT, None, [], {}, [[[]]], True, -1]


def spoil(value: object, rng: np.random.Generator) -> object:
    """The same document, some of its values others."""
    if rng.random() < 0.15:
        return VALUES[rng.integers(len(VALUES))]
    if isinstance(value, dict):
        return {key: spoil(each, rng) for key, each in value.items()}
    if isinstance(value, list):
        return [spoil(each, rng) for each in value]
    return value


def damage(folder: Path, rng: np.random.Generator) -> None:
    for path in sorted(folder.rglob("*.json*")):
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        spoilt = [json.dumps(spoil(json.loads(line), rng)) for line in lines]
        text = "\n".join(spoilt) + "\n"
        path.write_text(text[: -int(rng.integers(2, 30))] if rng.random() < 0.3 else text)


@pytest.mark.parametrize("seed", range(6))
def test_a_run_with_foreign_values_gets_a_page_that_runs_no_script(tmp_path, seed):
    run = a_run(tmp_path / "run")
    damage(run, np.random.default_rng(seed))
    assert "<script" not in write_report(run).read_text()


DOCUMENTS = {
    "nested": b"[" * 200_000,
    "nested mappings": b'{"a":' * 200_000,
    "huge number": b'{"a": ' + b"9" * 100_000 + b"}",
    "not text": b"\xff\xfe\xfd",
    "nothing": b"",
    "zeros": b"\0" * 1000,
    "a list": b"[1, 2]",
    "a number": b"7",
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_or_log_that_is_none_is_refused_in_one_line_or_read_as_nothing(tmp_path, name):
    path = tmp_path / "a.json"
    path.write_bytes(DOCUMENTS[name])
    with pytest.raises(O2OError) as problem:
        read_json(path)
    assert "\n" not in str(problem.value)
    if name != "not text":
        assert list(read_lines(path)) == []


def test_every_file_of_a_run_may_be_none(tmp_path):
    run = a_run(tmp_path / "run")
    for number, path in enumerate(sorted(each for each in run.rglob("*") if each.is_file())):
        path.write_bytes(list(DOCUMENTS.values())[number % len(DOCUMENTS)])
    assert "<script" not in write_report(run).read_text()


def test_lines_of_a_log_that_are_no_objects_are_passed_over(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n[1]\n"b"\n{"a": 2}\n{"a": ')
    assert [line["a"] for line in read_lines(tmp_path / "a.jsonl")] == [1, 2]
