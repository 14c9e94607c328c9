"""The crash matrix: every fault in every node in every phase, on the twin, through the command line.

    python benchmarks/faults.py                                    # all that is not done yet; `make faults`
    python benchmarks/faults.py --phases collect --nodes arm_node,recorder_node --faults kill,disk
    python benchmarks/faults.py --lockstep                         # no clock to be late by: for busy machines
    python benchmarks/faults.py --again                            # also what is done; --show: only the table

A cell brings the graph up by `o2o up`, breaks one process in the middle of an episode, and looks: was the arm held
within two command periods, is everything committed whole, did the graph go on or end in order, can it be taken up
again. What is right for which cell stands in crashing/cells.py. Results: benchmarks/results/faults.json, a record a
cell, with the revision of the code it was tried on. Exit code 1 where a cell is not right.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.progress import Progress

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

from crashing.cells import FAULTS, NODES, PHASES, Cell, matrix
from crashing.phases import Materials, make_materials
from crashing.table import said_of, show
from crashing.trial import try_cell

from o2o_robot.data.provenance import git_revision, machine, versions
from o2o_robot.errors import O2OError
from o2o_robot.jsonfile import read_json, write_json

OUT = Path(__file__).parent / "results" / "faults.json"


def main() -> int:
    options = parse()
    try:
        chosen = matrix(options.phases, options.nodes, options.faults, lockstep=options.lockstep)
        done = read_json(options.out)["cells"] if options.out.exists() else {}
        if not options.show:
            due = [cell for cell in chosen if options.again or str(cell) not in done]
            carry_out(due, done, options)
    except O2OError as problem:
        print(f"faults: {problem}", file=sys.stderr)
        return 2
    return show([(cell, done[str(cell)]) for cell in chosen if str(cell) in done])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, there in (("phases", PHASES), ("nodes", NODES), ("faults", FAULTS)):
        parser.add_argument(f"--{name}", type=words, default=(), help=f"of {', '.join(there)}; all unless named")
    parser.add_argument("--out", type=Path, default=OUT, help="JSON to go on with and to write")
    parser.add_argument("--lockstep", action="store_true", help="these cells in lockstep, not in real time")
    parser.add_argument("--again", action="store_true", help="also cells that are in the JSON already")
    parser.add_argument("--show", action="store_true", help="try nothing, print the table")
    parser.add_argument("--keep", type=Path, help="folder to keep the runs of cells that are not right in")
    return parser.parse_args()


def words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def carry_out(due: list[Cell], done: dict[str, Any], options: argparse.Namespace) -> None:
    """Try each cell and write it down at once: a matrix that is stopped goes on where it was."""
    with tempfile.TemporaryDirectory(prefix="faults.") as work, Progress(transient=True) as bar:
        materials = make_materials(Path(work))
        task = bar.add_task("", total=len(due))
        for cell in due:
            bar.update(task, description=str(cell))
            record = tried(cell, Path(work), materials, options.keep)
            done[str(cell)] = record
            about = {"machine": machine(), "versions": versions(), "git_revision": git_revision()}
            write_json(options.out, {**about, "cells": dict(sorted(done.items()))})
            bar.console.print(said_of(cell, record), highlight=False, markup=False, soft_wrap=True)
            bar.advance(task)


def tried(cell: Cell, work: Path, materials: Materials, keep: Path | None) -> dict[str, Any]:
    """A cell's record; its folder is kept where it is not right and somebody wants to look."""
    folder = work / str(cell).replace("/", "-")
    result = try_cell(cell, folder, materials)
    if keep is not None and not result.is_right:
        shutil.rmtree(keep / folder.name, ignore_errors=True)
        shutil.copytree(folder, keep / folder.name, symlinks=True)
    shutil.rmtree(folder, ignore_errors=True)
    return {**result.as_record(), "git_revision": git_revision()}


if __name__ == "__main__":
    sys.exit(main())
