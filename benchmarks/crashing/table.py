"""The matrix on screen: a row a cell, red where something is not right, and what that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from crashing.cells import Cell
from o2o_robot.terminal import table_console

Record = dict[str, Any]


def show(rows: Sequence[tuple[Cell, Record]]) -> int:
    """Print the table and what went wrong. Exit code 1 where a cell is not right."""
    console = table_console()
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("phase", "node", "fault"):
        table.add_column(column)
    for column in ("held after", "tool at rest", "lost steps", "discarded", "exit code"):
        table.add_column(column, justify="right")
    table.add_column("recovered")
    for cell, record in rows:
        table.add_row(cell.phase, cell.node, cell.fault, *_figures(record), style="red" if record["wrong"] else "")
    console.print(table)
    wrong = [(cell, line) for cell, record in rows for line in record["wrong"]]
    for cell, line in wrong:
        console.print(f"[red]{cell}[/red]: {escape(line)}", highlight=False)
    held = [record["held_ms"] for _, record in rows if record["held_ms"] is not None]
    worst = f", the arm held after {max(held):.0f} ms at worst" if held else ""
    n_red = sum(bool(record["wrong"]) for _, record in rows)
    lost = sum(record["lost_steps"] for _, record in rows)
    console.print(f"{len(rows)} cells, {n_red} not right{worst}, {lost} committed steps lost")
    return 1 if n_red else 0


def said_of(cell: Cell, record: Record) -> str:
    """One line for a cell that was just tried."""
    held, tool, lost, *_ = _figures(record)
    how = f"held after {held}, at rest {tool}" if held != "-" else "need not hold"
    verdict = "right" if not record["wrong"] else f"NOT RIGHT: {record['wrong'][0]}"
    return f"{cell}: {how}, {lost} steps lost, {verdict} ({record['seconds']:.0f} s)"


def _figures(record: Record) -> tuple[str, ...]:
    code = record["exit_code"]
    return (
        _ms(record["held_ms"]),
        _ms(record["tool_ms"]),
        str(record["lost_steps"]),
        str(record["discarded"]),
        "-" if code is None else str(code),
        "yes" if record["recovered"] else "no",
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
