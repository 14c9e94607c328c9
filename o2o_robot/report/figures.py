"""The figures of a report: numbers in, a matplotlib Figure out. Nothing here reads a file."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from o2o_robot.diagnostics.calibration import Calibration
from o2o_robot.report.gather import Facts
from o2o_robot.report.values import Values
from o2o_robot.types import Array, Mode

WIDTH_IN, DPI = 9.0, 150
INK, FAINT, GRID = "#2b2f36", "#8a919c", "#e3e6ea"
BEFORE, AFTER, GOOD, BAD = "#8a6fae", "#1f77a4", "#2e8b57", "#c0504d"
MODE_COLOURS = {Mode.WARMUP.value: FAINT, Mode.ONLINE.value: AFTER}
STAGE_COLOURS = ("#b7bdc7", BEFORE, "#e0a030", AFTER)

DASHES: tuple[Any, ...] = ("-", (0, (3, 1.5)), ":")

POINTS: dict[bool, dict[str, Any]] = {
    True: {"s": 9, "color": AFTER, "alpha": 0.45, "linewidths": 0, "label": "task ended: return exact"},
    False: {
        "s": 11,
        "facecolors": "none",
        "edgecolors": BAD,
        "alpha": 0.45,
        "linewidths": 0.6,
        "label": "cut by the time limit: return assumed",
    },
}

PANELS: dict[str, tuple[str, ...]] = {
    "TD loss": ("td_loss",),
    "Q": ("q_data", "target"),
    "conservative gap": ("cql_gap",),
    "entropy (nats)": ("entropy",),
    "temperature": ("temperature",),
    "actor loss": ("actor_loss",),
    "critic loss": ("critic_loss",),
    "share below the return": ("bound_rate/uniform", "bound_rate/policy", "bound_rate/next_policy"),
}

_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
}


def style() -> AbstractContextManager[None]:
    """The report's look, for figures made and saved inside."""
    return matplotlib.rc_context(_STYLE)


def png(figure: Figure) -> bytes:
    """The figure as PNG."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DPI, facecolor="white")
    return out.getvalue()


def reliability(panels: Mapping[str, tuple[Values, Calibration]]) -> Figure:
    """Q at the executed action against the return that followed, a panel a checkpoint, on shared axes."""
    figure, all_axes = grid(max(1, len(panels)), height_in=4.1, sharex=True, sharey=True)
    for axes, (title, (values, found)) in zip(all_axes, panels.items(), strict=False):
        for is_exact, look in POINTS.items():
            rows = values.is_exact == is_exact
            axes.scatter(values.q_data[rows], values.mc_return[rows], **look)
        axes.axline((0, 0), slope=1, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)), label="Q = return")
        curve = np.array([(b.q, b.mc_return) for b in found.curve]).reshape(-1, 2)
        axes.plot(
            curve[:, 0], curve[:, 1], color=INK, marker="o", markersize=3.5, linewidth=1.2, label="mean of a tenth"
        )
        axes.set(title=title, xlabel="Q(s, executed action)")
    all_axes[0].set_ylabel("discounted return that followed")
    handles, labels = all_axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figure


def guard(
    reasons: Mapping[str, Mapping[str, int]],
    changed: Mapping[str, tuple[int, int]],
    distances: Mapping[str, Array],
) -> Figure:
    """What the guard did, by stage: commands changed by reason, share of steps changed, size of the changes.

    changed: stage -> (steps changed, steps); distances: stage -> |executed - proposed| of the changed steps,
    where 1 is full scale.
    """
    figure, (bars, shares, sizes) = grid(3, height_in=3.0, width_ratios=(1.3, 1, 1.2))
    colours = dict(zip(reasons, STAGE_COLOURS, strict=False))
    names = sorted({name for counts in reasons.values() for name in counts}, key=lambda n: -_total(reasons, n))
    height = 0.8 / max(1, len(reasons))
    for k, (stage, counts) in enumerate(reasons.items()):
        rows = np.arange(len(names)) + (k - (len(reasons) - 1) / 2) * height
        bars.barh(rows, [counts.get(name, 0) for name in names], height, color=colours[stage])
    bars.set_yticks(range(len(names)), names)
    bars.invert_yaxis()
    bars.set(title="changed commands by reason", xlabel="commands")
    _nothing(bars, not names, "no command was changed")
    stages = list(changed)
    rates = [100 * k / max(1, n) for k, n in changed.values()]
    shares.barh(range(len(stages)), rates, 0.6, color=[colours.get(stage, FAINT) for stage in stages])
    shares.set_yticks(range(len(stages)), [_short(stage) for stage in stages])
    shares.invert_yaxis()
    shares.set(title="steps changed", xlabel="% of steps", xlim=(0, max([1.0, *rates]) * 1.2))
    for y, rate in enumerate(rates):
        shares.text(rate, y, f" {rate:.1f}", ha="left", va="center", fontsize=8)
    shown = {stage: d for stage, d in distances.items() if len(d)}
    edges = np.linspace(0, max((float(d.max()) for d in shown.values()), default=1.0), 25)
    for stage, d in shown.items():
        sizes.hist(d, edges.tolist(), histtype="step", linewidth=1.5, color=colours.get(stage, FAINT))
    sizes.set(title="how far: |executed − proposed|", xlabel="action units (1 = full scale)", ylabel="steps")
    _nothing(sizes, not shown, "no step was changed")
    handles = [matplotlib.patches.Patch(color=colour, label=_label(stage)) for stage, colour in colours.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def training(offline: Sequence[Facts], online: Sequence[Facts]) -> Figure:
    """Losses and values over all updates: offline, then online from where it ended; a panel a quantity."""
    n_offline = int(max((line["step"] for line in offline), default=0))
    curves = (
        (offline, "step", 0, BEFORE, "offline"),
        (online, "update", n_offline, AFTER, "online"),
    )
    has = {name for line in (*offline, *online) for name in line}
    panels = {title: [n for n in names if n in has] for title, names in PANELS.items() if has.intersection(names)}
    last = n_offline + int(max((line["update"] for line in online), default=0)) or 1
    columns = 4
    rows = max(1, -(-len(panels) // columns))
    figure, all_axes = grid(columns, n_rows=rows, height_in=2.0 * rows + 0.5)
    for axes in all_axes[len(panels) :]:
        axes.set_axis_off()
    for axes, (title, names) in zip(all_axes, panels.items(), strict=False):
        for lines, key, shift, colour, _ in curves:
            for name, dash in zip(names, DASHES, strict=False):
                points = [(line[key] + shift, line[name]) for line in lines if name in line and key in line]
                if points:
                    axes.plot(*zip(*points, strict=True), color=colour, linestyle=dash, linewidth=1.2)
        if n_offline and online:
            axes.axvline(n_offline, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.set_title(title, fontsize=8.5)
        axes.set_xlabel("updates", fontsize=8)
        axes.set_xlim(0, last)
        _key(axes, names)
    handles = [matplotlib.lines.Line2D([], [], color=c, label=label) for lines, _, _, c, label in curves if lines]
    figure.legend(handles=handles, loc="outside upper left", ncols=2)
    return figure


def strip(sheet: Array, *, times_s: Sequence[float], cameras: Sequence[str], side_px: int, gap_px: int) -> Figure:
    """A filmstrip (filmstrip.Strip) with a time under each column and a camera beside each row."""
    height, width = sheet.shape[:2]
    figure, (axes,) = grid(1, height_in=WIDTH_IN * height / width + 0.22)
    pitch = side_px + gap_px
    axes.imshow(sheet, interpolation="lanczos", aspect="equal")
    axes.set_xticks([k * pitch + side_px / 2 for k in range(len(times_s))], [f"{t:.1f} s" for t in times_s])
    axes.set_yticks([k * pitch + side_px / 2 for k in range(len(cameras))], list(cameras))
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return figure


def grid(
    n_columns: int,
    *,
    height_in: float,
    n_rows: int = 1,
    sharex: bool = False,
    sharey: bool = False,
    width_ratios: tuple[float, ...] | None = None,
) -> tuple[Figure, list[Axes]]:
    """A figure of the page's width and its axes, row by row."""
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    grid = figure.subplots(n_rows, n_columns, squeeze=False, sharex=sharex, sharey=sharey, width_ratios=width_ratios)
    return figure, list(grid.flat)


def _key(axes: Axes, names: Sequence[str]) -> None:
    """What the solid, dashed and dotted lines of a panel are, where there are several."""
    if len(names) > 1:
        lines = [
            matplotlib.lines.Line2D([], [], color=FAINT, linestyle=dash, linewidth=1.2, label=name.split("/")[-1])
            for name, dash in zip(names, DASHES, strict=False)
        ]
        axes.legend(handles=lines, fontsize=6.5, loc="best", handlelength=2.2, labelspacing=0.2)


def _nothing(axes: Axes, is_empty: bool, text: str) -> None:
    if is_empty:
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=FAINT)
        axes.set_xticks([])
        axes.set_yticks([])


def _total(reasons: Mapping[str, Mapping[str, int]], name: str) -> int:
    return sum(counts.get(name, 0) for counts in reasons.values())


def _label(stage: str) -> str:
    return stage.replace("_", " ")


def _short(stage: str) -> str:
    """A stage's name on two lines, for under a bar."""
    return _label(stage).replace("evaluate ", "evaluate\n")
