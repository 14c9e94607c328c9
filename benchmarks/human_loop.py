"""A person at the robot, played: demonstrations, a classifier, Cal-QL, warm-up, learning with interventions.

`python benchmarks/human_loop.py` runs every arm (operating/arms.py) one after the other through the real nodes in
lockstep, and goes on where it stopped; `--arm NAME` runs one, so that several processes share the work. Writes
results/operator.json and results/operator.png.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from operating.arms import ARMS, Sizes
from operating.figure import draw
from operating.table import found, table
from operating.work import STAGES, Bench, collect

from o2o_robot.data.provenance import git_revision, machine, versions
from o2o_robot.errors import O2OError
from o2o_robot.jsonfile import write_json

OUT = Path(__file__).parent / "results" / "operator.json"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=Path("runs/operator"), help="folder of the runs")
    options.add_argument("--arm", choices=[arm.name for arm in ARMS], action="append", help="these alone")
    options.add_argument("--seed", type=int, action="append", help="of everything; 0 unless told")
    options.add_argument("--only-table", action="store_true", help="run nothing, read what is there")
    chosen = options.parse_args()
    seeds, sizes = chosen.seed or [0], Sizes()
    for seed in [] if chosen.only_table else seeds:
        for arm in ARMS:
            if chosen.arm is None or arm.name in chosen.arm:
                attempt(Bench(chosen.data / f"seed{seed}" / arm.name, arm, sizes, seed))
    rows = found(chosen.data, seeds)
    if not rows:
        print("no arm is done yet")
        return 1
    table(rows)
    facts = {"sizes": asdict(sizes), "machine": machine(), "versions": versions(), "git_revision": git_revision()}
    write_json(OUT, {**facts, "arms": rows})
    draw(rows, OUT.with_suffix(".png"))
    return 0


def attempt(bench: Bench) -> None:
    """An arm whose graph ends early is told and left out: the others are still worth their figures."""
    try:
        run(bench)
    except O2OError as problem:
        print(f"{bench.folder.name} was not finished: {problem}", flush=True)


def run(bench: Bench) -> None:
    """Every stage of an arm that is not done yet."""
    demos = Bench(bench.demos, bench.arm, bench.sizes, bench.seed)
    demos.once("collected", lambda: collect(bench))
    for name, stage in STAGES.items():
        bench.once(name, lambda stage=stage: stage(bench))


if __name__ == "__main__":
    raise SystemExit(main())
