"""The doctor's findings for a person: one table, then one sentence for each thing to do."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from o2o_robot.preflight.examine import Section
from o2o_robot.preflight.finding import Finding, Level
from o2o_robot.terminal import table_console

_COLOURS = {Level.GREEN: "green", Level.UNKNOWN: "dim", Level.YELLOW: "yellow", Level.RED: "red"}
_WORDS = {Level.GREEN: "ok", Level.UNKNOWN: "unknown", Level.YELLOW: "look", Level.RED: "STOP"}


def show(sections: Sequence[Section], robot: str) -> None:
    """Print the table, what to do (red lines first), and the verdict."""
    console = table_console()
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title=f"preflight: {robot}", title_justify="left")
    for column in ("", "what", "measured", "allowed"):
        table.add_column(column, overflow="fold", no_wrap=column == "")
    for heading, findings in sections:
        table.add_row("", f"[bold]{heading}[/bold]")
        for finding in findings:
            table.add_row(*_cells(finding))
    console.print(table)
    found = [f for _, findings in sections for f in findings]
    for finding in sorted((f for f in found if f.remedy), key=lambda f: -f.level):
        console.print(_advice(finding), soft_wrap=True)
    console.print(verdict(found), markup=False)


def _cells(finding: Finding) -> tuple[str, ...]:
    colour = _COLOURS[finding.level]
    level = f"[{colour}]{_WORDS[finding.level]}[/{colour}]"
    return (level, *(escape(cell) for cell in (finding.what, finding.measured, finding.allowed)))


def _advice(finding: Finding) -> str:
    colour = _COLOURS[finding.level]
    return f"[{colour}]{_WORDS[finding.level]:7s}[/{colour}] {escape(f'{finding.what}: {finding.remedy}')}"


def verdict(findings: Sequence[Finding]) -> str:
    """The last line."""
    n = {level: sum(f.level is level for f in findings) for level in Level}
    told = f"{n[Level.GREEN]} ok, {n[Level.YELLOW]} to look at, {n[Level.RED]} red, {n[Level.UNKNOWN]} unknown"
    return f"{told}: {'do not move the arm' if n[Level.RED] else 'nothing is red'}"
