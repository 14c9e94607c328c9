"""Say what is in an episode store: `o2o inspect data/peg.zarr`."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import tyro
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from o2o_robot.data.contact_sheet import contact_sheet, save_png
from o2o_robot.data.episode import fields
from o2o_robot.data.store import EpisodeStore
from o2o_robot.types import Array, Episode

_GAP_PERIODS = 1.5
_WIDTH = 120  # of the table where no terminal says


class Pace(NamedTuple):
    """How an episode ticks: mean rate without gaps, number of gaps (beyond 1.5 periods), and the longest wait."""

    rate_hz: float
    n_gaps: int
    longest_s: float


def main(
    store: Annotated[Path, tyro.conf.Positional],
    *,
    sheet: Path | None = None,
    rows: int = 12,
    limit: int = 40,
) -> int:
    """Print the episodes of a store (lengths, rates, gaps, sizes, outcomes, fields) and write a contact sheet PNG.

    Args:
        store: an episode store.
        sheet: where the contact sheet goes; beside the store without it, STORE with .png for .zarr.
        rows: episodes on the contact sheet, spread evenly over the store.
        limit: episodes in the table, from the first on; 0 for all.
    """
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    with EpisodeStore.open(store) as episodes:
        shown = {int(i) for i in np.linspace(0, len(episodes) - 1, min(rows, len(episodes))).round()}
        table, summary, kept = _read(episodes, shown, limit or len(episodes))
        title = f"{store}: {len(episodes)} episodes, {episodes.n_steps} steps"
        console.print(title, markup=False, soft_wrap=True)
        console.print(table)
        if len(episodes) > (limit or len(episodes)):
            console.print(f"... and {len(episodes) - limit} more; --limit 0 shows all")
        for line in summary:
            console.print(line, markup=False, soft_wrap=True)
    if any(episode.images for episode in kept.values()):
        path = sheet or store.with_suffix(".png")
        save_png(contact_sheet(kept), path)
        console.print(f"contact sheet: {path}", markup=False, soft_wrap=True)
    return 0


def pace(stamp_ns: Array) -> Pace:
    """The pace of stamps (N,), N >= 2, in nanoseconds."""
    wait_s = np.diff(stamp_ns) / 1e9
    is_gap = wait_s > _GAP_PERIODS * float(np.median(wait_s))
    period_s = float(wait_s[~is_gap].mean())
    return Pace(1.0 / period_s if period_s > 0 else float("inf"), int(is_gap.sum()), float(wait_s.max()))


def _read(store: EpisodeStore, shown: set[int], limit: int) -> tuple[Table, list[str], dict[int, Episode]]:
    """One pass over the store, one episode in memory at a time besides those that are shown."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("#", "id", "mode", "outcome", "ended by"):
        table.add_column(column, overflow="fold", no_wrap=column != "id")
    for column in ("steps", "s", "Hz", "gaps", "longest s", "MB"):
        table.add_column(column, justify="right", no_wrap=True)
    outcomes, layouts, kept = Counter[str](), Counter[str](), {}
    for i, episode in enumerate(store.episodes()):
        if i < limit:
            table.add_row(*(escape(cell) for cell in _cells(i, episode)))
        if i in shown:
            kept[i] = episode
        outcomes[f"{episode.meta.get('mode', '?')} {episode.meta.get('outcome', '?')}"] += 1
        layouts[_layout(episode)] += 1
    n_bytes = sum(file.stat().st_size for file in store.path.rglob("*") if file.is_file())
    summary = [f"on disk: {n_bytes / 1e6:.2f} MB"]
    summary += [f"{n} x {what}" for what, n in sorted(outcomes.items())]
    summary += [f"fields of {n} episodes: {layout}" for layout, n in layouts.most_common()]
    return table, summary, kept


def _cells(number: int, episode: Episode) -> list[str]:
    meta, paced = episode.meta, pace(episode.stamp_ns)
    length_s = (int(episode.stamp_ns[-1]) - int(episode.stamp_ns[0])) / 1e9
    n_bytes = sum(array.nbytes for array in (*episode.images.values(), *episode.state.values(), episode.action))
    return [
        str(number),
        *(str(meta.get(key, "")) for key in ("id", "mode", "outcome", "termination")),
        str(len(episode)),
        f"{length_s:.1f}",
        f"{paced.rate_hz:.2f}",
        str(paced.n_gaps),
        f"{paced.longest_s:.3f}",
        f"{n_bytes / 1e6:.2f}",
    ]


def _layout(episode: Episode) -> str:
    """Every array less its number of rows, e.g. images/wrist 64x64x3 uint8."""
    shapes = []
    for name, (shape, dtype) in fields(episode).items():
        row = "x".join(map(str, shape[1:]))
        shapes.append(" ".join(part for part in (name, row, dtype) if part))
    return ", ".join(shapes)
