"""Interventions falling and success rising, an arm a colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from o2o_robot.diagnostics.interval import wilson
from o2o_robot.diagnostics.interventions import rolling
from o2o_robot.report import figures
from o2o_robot.report.html import write_whole

COLOURS = {"right": "#1f77a4", "wrong": "#d9822b", "alone": "#8a919c"}
MARKERS = {"right": "o", "wrong": "s", "alone": "^"}
WINDOW = 15


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the figure as PNG."""
    with figures.style():
        figure = Figure(figsize=(figures.WIDTH_IN, 6.2), layout="constrained")
        panels = list(figure.subplots(3, 1, sharex=True, height_ratios=(1.6, 1, 1)).flat)
        for k, row in enumerate(rows):
            _alone(panels[0], row, nudge=8.0 * (k - len(rows) / 2))
            _rolled(panels[1], row, "interventions")
            _rolled(panels[2], row, "human_share")
        panels[0].set(ylabel="success of the policy alone", ylim=(-0.03, 1.03))
        panels[1].set(ylabel="interventions\nan episode")
        panels[2].set(ylabel="share of steps\nby hand", xlabel="environment steps of online learning")
        for axes in panels[1:]:
            axes.set_ylim(bottom=0)
        panels[0].legend(loc="lower right")
        figure.align_ylabels(panels)
        write_whole(path, figures.png(figure))


def _alone(axes: Axes, row: dict[str, Any], *, nudge: float) -> None:
    """Evaluations on held-out starts with their 95 % Wilson intervals; an update is one online step."""
    n = row["evaluate"]["episodes"]
    points = [(int(updates), k) for updates, k in row["evaluate"]["successes"].items()]
    x, rate = np.array([p[0] for p in points], float), np.array([p[1] / n for p in points])
    bands = [wilson(p[1], n) for p in points]
    error = np.array(
        [[r - b.lo for r, b in zip(rate, bands, strict=True)], [b.hi - r for r, b in zip(rate, bands, strict=True)]]
    )
    look: dict[str, Any] = {"color": COLOURS[row["arm"]], "marker": MARKERS[row["arm"]], "capsize": 2}
    axes.errorbar(x + nudge, rate, np.maximum(error, 0), label=row["title"], markersize=5, linewidth=1.3, **look)


def _rolled(axes: Axes, row: dict[str, Any], name: str) -> None:
    online = [each for each in row["training"] if each["mode"] == "online"]
    if not online:
        return
    first = online[0]["steps_before"]
    x = [each["steps_before"] + each["n_steps"] - first for each in online]
    values = [each["steps_human"] / each["n_steps"] if name == "human_share" else each[name] for each in online]
    axes.plot(x, rolling(values, WINDOW), color=COLOURS[row["arm"]], label=row["title"])
