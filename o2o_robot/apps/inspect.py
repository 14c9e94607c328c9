"""Say what is in an episode store, and what ails it: `o2o inspect data/peg.zarr`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import tyro
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from o2o_robot.data.contact_sheet import save_png, sheet_rows
from o2o_robot.data.health.finding import Finding, Level, ranges
from o2o_robot.data.health.vitals import Vitals, even_rows
from o2o_robot.data.store import EpisodeStore
from o2o_robot.report.inspect_gather import Look, look
from o2o_robot.terminal import table_console
from o2o_robot.types import Array, Episode

_SAY_FROM = 50  # episodes: fewer are read before a bar could be seen
_COLOURS = {Level.FAULT: "red", Level.CHECK: "yellow", Level.NOTE: "dim"}


def main(
    store: Annotated[Path, tyro.conf.Positional],
    *,
    page: Path | None = None,
    sheet: Path | None = None,
    rows: int = 12,
    limit: int = 40,
    table_only: bool = False,
) -> int:
    """Print the episodes of a store (lengths, rates, gaps, sizes, outcomes, fields) and what ails them.

    Writes a page (HTML, one file: contact sheets, timing, actions, states, coverage, warnings) and a contact sheet PNG.

    Args:
        store: an episode store.
        page: where the page goes; beside the store without it, STORE with .html for .zarr.
        sheet: where the contact sheet goes; beside the store without it, STORE with .png for .zarr.
        rows: episodes on the contact sheet, spread evenly over the store.
        limit: episodes in the table, from the first on; 0 for all.
        table_only: print, and write neither page nor contact sheet.
    """
    console = table_console()
    with EpisodeStore.open(store) as episodes:
        shown = set(even_rows(len(episodes), min(rows, len(episodes))).tolist())
        pictures: list[Array] = []
        with _progress(len(episodes)) as advance:

            def visit(number: int, episode: Episode) -> None:
                advance()
                pictures.extend(sheet_rows(number, episode) if number in shown else [])

            seen = look(episodes, visit)
        console.print(f"{store}: {len(episodes)} episodes, {episodes.n_steps} steps", markup=False, soft_wrap=True)
    _print(seen, store, console, limit or len(seen.vitals))
    if table_only:
        return 0
    if pictures:
        save_png(pictures, sheet or store.with_suffix(".png"))
        console.print(f"contact sheet: {sheet or store.with_suffix('.png')}", markup=False, soft_wrap=True)
    _write_page(seen, store, page or store.with_suffix(".html"), console)
    return 0


def _print(seen: Look, store: Path, console: Console, limit: int) -> None:
    console.print(_table(seen.vitals[:limit]))
    if len(seen.vitals) > limit:
        console.print(f"... and {len(seen.vitals) - limit} more; --limit 0 shows all")
    for line in _summary(seen.vitals, store):
        console.print(line, markup=False, soft_wrap=True)
    for finding in seen.findings:
        console.print(_line(finding, len(seen.vitals)), soft_wrap=True)


def _table(vitals: Sequence[Vitals]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("#", "id", "mode", "outcome", "ended by"):
        table.add_column(column, overflow="fold", no_wrap=column != "id")
    for column in ("steps", "s", "Hz", "gaps", "longest s", "MB"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in vitals:
        table.add_row(*(escape(cell) for cell in _cells(each)))
    return table


def _cells(v: Vitals) -> list[str]:
    return [
        str(v.number),
        v.id,
        v.mode,
        v.outcome,
        v.termination,
        str(v.n_steps),
        f"{v.length_s:.1f}",
        f"{v.pace.rate_hz:.2f}",
        str(v.pace.n_gaps),
        f"{v.pace.longest_s:.3f}",
        f"{v.n_bytes / 1e6:.2f}",
    ]


def _summary(vitals: Sequence[Vitals], store: Path) -> list[str]:
    n_bytes = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    outcomes = Counter(f"{v.mode or '?'} {v.outcome or '?'}" for v in vitals)
    layouts = Counter(v.layout for v in vitals)
    lines = [f"on disk: {n_bytes / 1e6:.2f} MB"]
    lines += [f"{n} x {what}" for what, n in sorted(outcomes.items())]
    return lines + [f"fields of {n} episodes: {layout}" for layout, n in layouts.most_common()]


def _line(finding: Finding, n_episodes: int) -> str:
    """A finding in one line of rich's markup."""
    n = len(finding.episodes)
    where = "" if n in (0, n_episodes) and n_episodes > 2 else f" (episodes {_shortened(ranges(finding.episodes))})"
    colour = _COLOURS[finding.level]
    told = escape(f"{finding.what}: {finding.seen}{where}; {finding.remedy}")
    return f"[{colour}]{finding.level.name.lower():5s}[/{colour}] {told}"


def _shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[:most].rpartition(",")[0] + ", ..."


def _write_page(seen: Look, store: Path, page: Path, console: Console) -> None:
    """The page, or one line that says which packages it lacks: everything above needs none of them."""
    try:
        from o2o_robot.report.inspect_page import write_page
    except ModuleNotFoundError as problem:
        told = f"no page: {problem.name} is not installed; pip install 'o2o_robot[train]'"
        console.print(told, markup=False, soft_wrap=True)
        return
    console.print(f"page: {write_page(seen, store, page)}", markup=False, soft_wrap=True)


@contextmanager
def _progress(n: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr for a person who waits; gives the call that moves it on."""
    console = Console(stderr=True)
    bar = Progress(console=console, transient=True, disable=not console.is_terminal or n < _SAY_FROM)
    with bar:
        task = bar.add_task("inspect", total=n)
        yield lambda: bar.advance(task)
