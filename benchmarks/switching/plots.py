"""One picture a task: success of the published methods, of what is changed at WSRL's switch, and Q on offline data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from switching.methods import PUBLISHED, methods
from switching.summary import Run, Summary, steps

matplotlib.use("Agg")
from matplotlib import pyplot as plt

COLOURS = {
    "cql": "#d55e00",
    "calql": "#0072b2",
    "iql": "#999933",
    "sac": "#888888",
    "rlpd": "#cc79a7",
    "calql_no_retention": "#56b4e9",
    "wsrl": "#000000",
    "wsrl_no_warmup": "#d55e00",
    "wsrl_h1": "#0072b2",
    "wsrl_h3": "#cc79a7",
    "wsrl_h4": "#56b4e9",
    "wsrl_h1_h4": "#ef5675",
    "wsrl_h1_h2_h4": "#7a5195",
    "steady": "#009e73",
}
TICKS = (0, 100, 250, 500, 1000, 1500, 2000, 3000, 4000, 5000, 6000, 8000, 10000)
PROBED = ("cql", "calql", "calql_no_retention", "wsrl", "wsrl_no_warmup", "steady")


def picture(task: str, found: Mapping[str, Summary], runs: Mapping[str, Sequence[Run]], path: Path) -> None:
    """Write the picture of one task. The step axis is a square root, so that the steps after the switch have room."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.6), constrained_layout=True)
    _success(left, found, (*PUBLISHED, "steady"), f"{task}: published methods and ours")
    _success(middle, found, ("wsrl", *(n for n in methods() if n not in PUBLISHED)), "what is changed at the switch")
    _values(right, runs)
    last = max(steps(some[0])[-1] for some in runs.values())
    for axes in (left, middle, right):
        axes.set_xscale("function", functions=(_root, np.square))
        axes.set_xticks([k for k in TICKS if k <= last] or [0, last])
        axes.set_xlim(0, last)
        axes.set_xlabel("environment steps after the switch (square-root axis)")
        axes.grid(alpha=0.25)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7.5, loc="best")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _root(x: Any) -> Any:
    return np.sqrt(np.maximum(x, 0.0))


def _success(axes: Any, found: Mapping[str, Summary], names: Iterable[str], title: str) -> None:
    """Pooled success with its Wilson interval."""
    known = methods()
    for name in (name for name in names if name in found):
        pooled = found[name].pooled
        x, y = [point.step for point in pooled], [point.rate for point in pooled]
        width = 2.4 if name in ("wsrl", "steady") else 1.4
        axes.plot(x, y, color=COLOURS[name], lw=width, marker=".", ms=4, label=known[name].label)
        low, high = zip(*(point.interval for point in pooled), strict=True)
        axes.fill_between(x, low, high, color=COLOURS[name], alpha=0.10, lw=0)
    axes.set(title=title, ylabel="success of the policy's mode", ylim=(-0.03, 1.03))


def _values(axes: Any, runs: Mapping[str, Sequence[Run]]) -> None:
    """Mean over seeds of the critics' minimum at the data's actions, on the fixed offline probe."""
    known = methods()
    for name in (name for name in PROBED if name in runs):
        x = steps(runs[name][0])
        each = np.array([run["curve"]["offline_q"] for run in runs[name]])
        style = "--" if name == "wsrl_no_warmup" else "-"
        axes.plot(x, each.mean(axis=0), style, color=COLOURS[name], lw=1.6, label=known[name].label)
        axes.fill_between(x, each.min(axis=0), each.max(axis=0), color=COLOURS[name], alpha=0.10, lw=0)
    axes.set(title="Q on the offline probe (mean and range of seeds)", ylabel="Q")
