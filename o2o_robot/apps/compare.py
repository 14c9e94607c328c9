"""Runs side by side: `o2o compare runs/a runs/b`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table

from o2o_robot.report.compare import Comparison, compare
from o2o_robot.report.compare_page import HEAD, row, write_comparison
from o2o_robot.terminal import table_console


def main(runs: Annotated[tuple[Path, ...], tyro.conf.Positional], *, out: Path = Path("compare.html")) -> int:
    """Two to eight runs in a table, and on a page with their curves and the settings that differ.

    Args:
        runs: folders of runs, whole or not; the first is what the others are held against.
        out: the page, one file, no network needed.
    """
    found = compare(runs)
    _show(found)
    print(write_comparison(found, out))
    return 0


def _show(found: Comparison) -> None:
    table = Table(box=None)
    for name in HEAD:
        table.add_column(name, overflow="fold")
    for side in found.sides:
        table.add_row(*row(side))
    screen = table_console()
    screen.print(table)
    for verdict in found.verdicts:
        screen.print(f"{verdict.name} against {found.sides[0].name}: {verdict.words}")
    screen.print(f"{len(found.settings)} settings differ, {found.equal_settings} are the same")


if __name__ == "__main__":
    raise SystemExit(tyro.cli(main))
