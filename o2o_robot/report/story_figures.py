"""The figure of the session's story: panels over one axis of robot minutes. Nothing here reads a file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from o2o_robot.diagnostics.interval import wilson
from o2o_robot.report.figures import AFTER, BAD, BEFORE, FAINT, GOOD, INK, WIDTH_IN
from o2o_robot.report.gather import EpisodeLine
from o2o_robot.report.statistics import rolling_success
from o2o_robot.report.timeline import Row, stretches
from o2o_robot.types import Array, Mode

if TYPE_CHECKING:
    from o2o_robot.report.story import Watch

WINDOW, SHORT = 20, 10
MODE_COLOURS = {Mode.WARMUP.value: "#7d8591", Mode.ONLINE.value: AFTER, Mode.DEMO.value: "#b08a3e"}
BANDS = {Mode.WARMUP.value: "#eef0f3", Mode.EVAL.value: "#f6efdc", Mode.DEMO.value: "#f3eee6"}
REASON_COLOURS = ("#1f77a4", "#e0a030", "#8a6fae", "#c0504d", "#2e8b57", "#3fb0b0", "#7a5c3a", "#8a919c")
PERSON = "#d9822b"
PERCENT: dict[str, Any] = {"ticks": [0, 0.25, 0.5, 0.75, 1], "labels": ["0 %", "25 %", "50 %", "75 %", "100 %"]}


def has_person(rows: Sequence[Row]) -> bool:
    return any(row.takeovers for row in rows)


def story(
    rows: Sequence[Row],
    before: Sequence[EpisodeLine],
    after: Sequence[EpisodeLine],
    watch: Watch,
    *,
    demo_rate: float | None = None,
) -> Figure:
    """Success, then whichever of person, guard and watch has something to show."""
    draws = [lambda axes: _success(axes, rows, before, after, demo_rate)]
    draws += [lambda axes: _person(axes, rows)] if has_person(rows) else []
    draws += [lambda axes: _guard(axes, rows)] if any(row.reasons for row in rows) else []
    draws += [lambda axes: _watch(axes, watch)] if any(math.isfinite(v.p_worse) for v in watch.verdicts) else []
    ratios = [2.4, *[1.0] * (len(draws) - 1)]
    figure = Figure(figsize=(WIDTH_IN, 1.3 + 1.15 * sum(ratios)), layout="constrained")
    panels = list(figure.subplots(len(draws), 1, sharex=True, squeeze=False, height_ratios=ratios).flat)
    for axes, draw in zip(panels, draws, strict=True):
        _bands(axes, rows)
        draw(axes)
    _phase_names(panels[0], rows)
    panels[-1].set_xlabel("robot minutes")
    end = rows[-1].end_min if rows else 1.0
    panels[-1].set_xlim(-0.045 * end, 1.045 * end)
    figure.align_ylabels(panels)
    return figure


def _bands(axes: Axes, rows: Sequence[Row]) -> None:
    for stretch in stretches(rows):
        colour = BANDS.get(stretch.mode)
        if colour:
            axes.axvspan(rows[stretch.first].begin_min, rows[stretch.last].end_min, color=colour, linewidth=0, zorder=0)


def _phase_names(axes: Axes, rows: Sequence[Row]) -> None:
    """A word over each phase that is wide enough for one."""
    whole = max(rows[-1].end_min, 1e-9) if rows else 1.0
    for stretch in stretches(rows):
        begin, end = rows[stretch.first].begin_min, rows[stretch.last].end_min
        if (end - begin) / whole > 0.06 and stretch.mode != Mode.EVAL.value:
            axes.text((begin + end) / 2, 1.1, stretch.mode, color=FAINT, fontsize=8, ha="center", va="bottom")


def _success(
    axes: Axes,
    rows: Sequence[Row],
    before: Sequence[EpisodeLine],
    after: Sequence[EpisodeLine],
    demo_rate: float | None,
) -> None:
    for mode, colour in MODE_COLOURS.items():
        _rolling(axes, [row for row in rows if row.line.mode == mode], mode, colour)
    end = rows[-1].end_min if rows else 1.0
    _diamond(axes, before, -0.02 * end, BEFORE, "evaluation before")
    _diamond(axes, after, 1.02 * end, AFTER, "evaluation after")
    label = "evaluation"
    for block in stretches(rows):
        if block.mode == Mode.EVAL.value:
            inside = rows[block.first : block.last + 1]
            middle = (inside[0].begin_min + inside[-1].end_min) / 2
            _diamond(axes, [row.line for row in inside], middle, INK, label)
            label = ""
    if demo_rate is not None:
        axes.axhline(demo_rate, color="#b08a3e", linewidth=0.9, linestyle=":", label="demonstrations")
    axes.set(ylabel="success", ylim=(-0.1, 1.1))
    axes.set_yticks(**PERCENT)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.07), ncols=5, borderaxespad=0.2, handlelength=1.6)


def _rolling(axes: Axes, rows: Sequence[Row], mode: str, colour: str) -> None:
    if not rows:
        return
    x, won = np.array([row.end_min for row in rows]), np.array([row.line.is_success for row in rows])
    rolled = rolling_success(won, WINDOW)
    axes.fill_between(x, rolled.lo, rolled.hi, color=colour, alpha=0.16, linewidth=0)
    axes.plot(x, rolled.rate, color=colour, label=mode)
    axes.vlines(x[won], 1.03, 1.075, color=GOOD, linewidth=0.8)
    axes.vlines(x[~won], -0.075, -0.03, color=BAD, linewidth=0.8)


def _diamond(axes: Axes, episodes: Sequence[EpisodeLine], x: float, colour: str, label: str) -> None:
    """The success of an evaluation with its interval."""
    if not episodes:
        return
    k, n = sum(e.is_success for e in episodes), len(episodes)
    band = wilson(k, n)
    error = [[k / n - band.lo], [band.hi - k / n]]
    look: dict[str, Any] = {"fmt": "D", "markersize": 6, "capsize": 3, "linewidth": 1.3, "zorder": 5}
    axes.errorbar([x], [k / n], error, color=colour, label=label or None, clip_on=False, **look)


def _person(axes: Axes, rows: Sequence[Row]) -> None:
    x = np.array([row.end_min for row in rows])
    widths = np.array([row.end_min - row.begin_min for row in rows])
    share = np.array([row.human_share for row in rows])
    axes.bar(x - widths / 2, share, widths, color=PERSON, alpha=0.45, linewidth=0, label="share of steps by hand")
    axes.set(ylabel="person", ylim=(0, 1.05))
    axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    counts = axes.twinx()
    counts.plot(x, _latest(np.array([row.takeovers for row in rows], float)), color=INK, linewidth=1.2)
    counts.plot([], [], color=PERSON, linewidth=5, alpha=0.45, label="share of steps by hand")
    counts.plot([], [], color=INK, linewidth=1.2, label="takeovers an episode (right)")
    counts.set_ylim(bottom=0)
    counts.spines["right"].set_visible(True)
    counts.grid(False)
    counts.legend(loc="upper right", fontsize=7)


def _guard(axes: Axes, rows: Sequence[Row]) -> None:
    """Stacked shares of steps changed, by reason; a step with several reasons counts for each."""
    stored = [row for row in rows if row.is_stored]
    totals: dict[str, int] = {}
    for row in stored:
        for name, n in row.reasons.items():
            totals[name] = totals.get(name, 0) + n
    names = sorted(totals, key=lambda name: -totals[name])[: len(REASON_COLOURS)]
    x = np.array([row.end_min for row in stored])
    shares = [_latest(np.array([row.reasons.get(n, 0) / row.line.n_steps for row in stored])) for n in names]
    colours = REASON_COLOURS[: len(names)]
    axes.stackplot(x, *shares, colors=colours, labels=names, alpha=0.75, linewidth=0)
    axes.set_ylabel("guard")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.legend(loc="upper right", fontsize=7, ncols=3, frameon=True, framealpha=0.75, edgecolor="none")


def _watch(axes: Axes, watch: Watch) -> None:
    x, p = np.array(watch.verdicts, float).T
    axes.fill_between(x, 0, np.nan_to_num(p), color=BAD, alpha=0.15, linewidth=0, step="post")
    axes.step(x, p, where="post", color=BAD, linewidth=1.2)
    axes.axhline(watch.sure, color=INK, linewidth=0.9, linestyle=":")
    for at in watch.went_back_min:
        axes.axvline(at, color=BAD, linewidth=1.2)
        axes.text(at, 0.5, " went back", color=BAD, fontsize=7.5, va="center")
    axes.set(ylabel="P(worse)", ylim=(0, 1.08))


def _latest(values: Array) -> Array:
    """Mean of the latest SHORT values at each."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(total))
    starts = np.maximum(ends - SHORT, 0)
    return (total[ends] - total[starts]) / (ends - starts)
