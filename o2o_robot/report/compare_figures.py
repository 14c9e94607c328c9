"""The figures of a comparison of runs. Nothing here reads a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from o2o_robot.report.figures import INK, grid
from o2o_robot.report.statistics import rolling_success
from o2o_robot.report.timeline import Row
from o2o_robot.types import Array, Mode

if TYPE_CHECKING:
    from o2o_robot.report.compare import Side

COLOURS = ("#1f77a4", "#d9822b", "#2e8b57", "#8a6fae", "#c0504d", "#3fb0b0", "#7a5c3a", "#626a76")
WINDOW = 20
TRAINING = (Mode.WARMUP.value, Mode.ONLINE.value, Mode.DEMO.value)


def success(sides: Sequence[Side]) -> Figure:
    """Rolling success of training episodes with its band, over robot minutes and over steps."""
    figure, (minutes, steps) = grid(2, height_in=3.4, sharey=True)
    for colour, side in zip(COLOURS, sides, strict=False):
        rows = _training(side.rows)
        _band(minutes, np.array([row.end_min for row in rows]), rows, colour, side.name)
        _band(steps, np.cumsum([row.line.n_steps for row in rows]), rows, colour, "")
    minutes.set(xlabel="robot minutes", ylabel="success", ylim=(-0.04, 1.04))
    steps.set_xlabel("environment steps")
    minutes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    figure.legend(*minutes.get_legend_handles_labels(), loc="outside upper left", ncols=min(4, len(sides)))
    return figure


def ends(sides: Sequence[Side]) -> Figure:
    """Success at the end with its interval, a row a run."""
    figure, (axes,) = grid(1, height_in=0.6 + 0.36 * len(sides))
    for y, (colour, side) in enumerate(zip(COLOURS, sides, strict=False)):
        found = side.end.rate
        if found is None:
            continue
        share, (lo, hi) = found.successes / found.n, found.interval
        look: dict[str, Any] = {"fmt": "D", "markersize": 7, "capsize": 4, "linewidth": 2}
        axes.errorbar([share], [y], xerr=[[share - lo], [hi - share]], color=colour, **look)
    axes.set_yticks(range(len(sides)), [side.name for side in sides])
    axes.set(xlim=(-0.02, 1.02), ylim=(len(sides) - 0.5, -0.5), xlabel="success at the end, 95 % interval")
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    return figure


def along(sides: Sequence[Side]) -> Figure:
    """What the guard changed and what a person did, over robot minutes."""
    wanted: list[tuple[str, Callable[[Row], float]]] = [
        ("steps the guard changed", lambda row: row.line.steps_changed / row.line.n_steps)
    ]
    if any(row.takeovers for side in sides for row in side.rows):
        wanted += [("steps by hand", lambda row: row.human_share), ("takeovers an episode", lambda row: row.takeovers)]
    figure, panels = grid(len(wanted), height_in=2.5)
    for axes, (title, value) in zip(panels, wanted, strict=True):
        for colour, side in zip(COLOURS, sides, strict=False):
            rows = _training(side.rows)
            y = _latest(np.array([value(row) for row in rows], float))
            axes.plot([row.end_min for row in rows], y, color=colour, linewidth=1.4)
        axes.set(title=title, xlabel="robot minutes")
        axes.set_ylim(bottom=0)
    return figure


def _training(rows: Sequence[Row]) -> list[Row]:
    """Training episodes; where there are none (an evaluation), all."""
    return [row for row in rows if row.line.mode in TRAINING] or list(rows)


def _band(axes: Axes, x: Array, rows: Sequence[Row], colour: str, label: str) -> None:
    if not rows:
        axes.plot([], [], color=colour, label=label or None)
        return
    rolled = rolling_success(np.array([row.line.is_success for row in rows]), WINDOW)
    axes.fill_between(x, rolled.lo, rolled.hi, color=colour, alpha=0.13, linewidth=0)
    axes.plot(x, rolled.rate, color=colour, label=label or None)
    warm = sum(row.line.mode == Mode.WARMUP.value for row in rows)
    if 0 < warm < len(rows):
        axes.plot(x[warm - 1], rolled.rate[warm - 1], marker="o", markersize=5, color=colour, markeredgecolor=INK)


def _latest(values: Array) -> Array:
    """Mean of the latest WINDOW values at each."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    last = np.arange(1, len(total))
    first = np.maximum(last - WINDOW, 0)
    return (total[last] - total[first]) / (last - first)
