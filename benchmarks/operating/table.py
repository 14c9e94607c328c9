"""What the arms came to: read from their folders, as rows of JSON and as a printed table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from o2o_robot.diagnostics.interval import wilson
from o2o_robot.diagnostics.interventions import facts, hands
from o2o_robot.jsonfile import read_json, read_lines
from operating.arms import ARMS
from operating.work import STAGES

Row = dict[str, Any]


def found(data: Path, seeds: Sequence[int]) -> list[Row]:
    """A row an arm and seed whose every stage is done."""
    rows = []
    for seed in seeds:
        for arm in ARMS:
            folder = data / f"seed{seed}" / arm.name
            if all((folder / f"{name}.json").exists() for name in STAGES):
                rows.append({"arm": arm.name, "title": arm.title, "seed": seed, **_row(folder)})
    return rows


def _row(folder: Path) -> Row:
    stages = {name: read_json(folder / f"{name}.json") for name in STAGES}
    lines = [line for line in read_lines(folder / "finetune" / "episodes.jsonl") if line.get("n_steps")]
    truths = {w["episode"]: w["truth"] == "success" for w in read_lines(folder / "finetune" / "words.jsonl")}
    return {
        "demonstrations": read_json(folder.parent / "demos" / "collected.json"),
        **stages,
        "interventions": facts(hands(lines)),
        "training": [
            {
                "mode": line["mode"],
                "steps_before": line["steps_before"],
                "n_steps": line["n_steps"],
                "steps_human": line.get("steps_human", 0),
                "interventions": line.get("interventions", 0),
                "outcome": line["outcome"],
                "truth": bool(truths.get(line["id"], False)),
            }
            for line in lines
        ],
    }


def thirds(row: Row, name: str) -> list[float]:
    """Mean of `name` over the online episodes of each third of the online steps."""
    online = [each for each in row["training"] if each["mode"] == "online"]
    if not online:
        return []
    first = online[0]["steps_before"]
    length = max(1, online[-1]["steps_before"] + online[-1]["n_steps"] - first)
    parts: list[list[float]] = [[], [], []]
    for each in online:
        parts[min(2, 3 * (each["steps_before"] - first) // length)].append(float(each[name]))
    return [float(np.mean(part)) if part else float("nan") for part in parts]


def table(rows: Sequence[Row]) -> None:
    print(f"{'arm':7s} {'seed':>4s}  {'success of the policy alone, by updates':52s} {'interventions/episode':>22s}")
    for row in rows:
        n = row["evaluate"]["episodes"]
        alone = "  ".join(f"{u}: {k}/{n}" for u, k in row["evaluate"]["successes"].items())
        rates = " ".join(f"{rate:.2f}" for rate in thirds(row, "interventions"))
        print(f"{row['arm']:7s} {row['seed']:4d}  {alone:52s} {rates:>22s}")
    for row in rows:
        online, quality = row["learn_online"], row["classify"]["held_out"]
        last_updates, last = list(row["evaluate"]["successes"].items())[-1]
        band = wilson(last, row["evaluate"]["episodes"])
        print(
            f"{row['arm']:7s} classifier precision {quality['precision']:.2f} recall {quality['recall']:.2f}; labels "
            f"wrong {online['labels_wrong']}/{online['labels']} online, {row['label']['wrong']}/"
            f"{row['label']['episodes']} demonstrations; judged wrong {online['judged_wrong']}; after {last_updates} "
            f"updates {last}/{row['evaluate']['episodes']} ({band.lo:.2f} to {band.hi:.2f})"
        )
