"""The figures of a store's page: numbers in, a matplotlib Figure out. Nothing here reads a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from o2o_robot.data.health.vitals import Vitals
from o2o_robot.report.figures import AFTER, BAD, BEFORE, FAINT, GOOD, INK, MODE_COLOURS, grid
from o2o_robot.report.inspect_gather import Sample
from o2o_robot.types import Array, Mode, Outcome, Source

AMBER = "#e0a030"
OUTCOMES = {Outcome.SUCCESS.value: GOOD, Outcome.FAILURE.value: BAD, Outcome.INCOMPLETE.value: FAINT}
SOURCES = {Source.POLICY: AFTER, Source.TELEOP: AMBER, Source.SCRIPTED: BEFORE, Source.HOLD: "#b7bdc7"}
MODES = {Mode.DEMO.value: AMBER, Mode.EVAL.value: BEFORE, **MODE_COLOURS}
_VIOLINS_A_ROW = 18
_BINS = 48


def timeline(vitals: Sequence[Vitals]) -> Figure:
    """Every episode in the order of the store: length by outcome, reward sum, who moved, and the mode below."""
    figure, (length, reward, source) = grid(1, n_rows=3, height_in=5.2, sharex=True)
    number, n_steps = (np.array([getattr(v, name) for v in vitals]) for name in ("number", "n_steps"))
    outcome = np.array([v.outcome if v.outcome in OUTCOMES else Outcome.INCOMPLETE.value for v in vitals])
    wide = max(0.6, min(6.0, 380 / max(1, len(vitals))))
    for name, colour in OUTCOMES.items():
        its = outcome == name
        if its.any():
            length.vlines(number[its], 0, n_steps[its], color=colour, linewidth=wide, label=f"{name} ({its.sum()})")
            rewards = [v.reward_sum for v, is_it in zip(vitals, its, strict=True) if is_it]
            reward.scatter(number[its], rewards, s=max(4, 3 * wide), color=colour, linewidths=0)
    length.set(ylabel="steps", ylim=(0, None))
    reward.set_ylabel("reward sum")
    _sources(source, vitals, number)
    _modes(source, vitals)
    source.set(xlabel="episode number in the store", xlim=(number.min() - 0.8, number.max() + 0.8))
    source.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    _legend_right(length)
    _legend_right(source)
    return figure


def timing(vitals: Sequence[Vitals], sample: Sample) -> Figure:
    """How it ticked: all periods, then rate with jitter, and gaps, by episode."""
    figure, (period, rate, gaps) = grid(3, height_in=2.7)
    wait_ms = 1000 * sample.wait_s
    usual = float(np.median(wait_ms)) if len(wait_ms) else 0.0
    edges = _edges(wait_ms, least=max(0.02 * usual, 1e-6))
    period.hist(wait_ms, edges.tolist(), color=AFTER, alpha=0.75)
    period.set(title="period", xlabel="ms between observations", ylabel="steps (log)", yscale="log")
    period.set_ylim(bottom=0.7)
    number = [v.number for v in vitals]
    jitter_ms = [1000 * v.jitter_s for v in vitals]
    rate.scatter(number, jitter_ms, s=9, color=AFTER, alpha=0.7, linewidths=0)
    rate.set(
        title="jitter", xlabel="episode", ylabel="ms from the median period", ylim=(0, max([*jitter_ms, 0.1]) * 1.1)
    )
    n_gaps = np.array([v.pace.n_gaps for v in vitals])
    longest = np.array([v.pace.longest_s for v in vitals])
    gaps.scatter(number, longest, s=9, color=FAINT, linewidths=0, label="no gap")
    if n_gaps.any():
        gaps.scatter(np.array(number)[n_gaps > 0], longest[n_gaps > 0], s=14, color=BAD, linewidths=0, label="gaps")
        gaps.legend(loc="best")
    for axes in (rate, gaps):
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    gaps.set(title="longest wait", xlabel="episode", ylabel="s", ylim=(0, max([*longest, 0.001]) * 1.1))
    return figure


def actions(action: Array, saturated: Array) -> Figure:
    """A violin an action column between -1 and +1, with the share of its steps at full scale above it."""
    n = action.shape[1]
    n_rows = -(-n // _VIOLINS_A_ROW)
    figure, all_axes = grid(1, n_rows=n_rows, height_in=2.4 * n_rows + 0.3)
    for axes, start in zip(all_axes, range(0, n, _VIOLINS_A_ROW), strict=True):
        some = range(start, min(start + _VIOLINS_A_ROW, n))
        _violins(axes, action[:, some], first=start, colour=AFTER)
        for i in some:
            if saturated[i] > 0.005:
                axes.text(i, 1.08, f"{100 * saturated[i]:.0f} %", ha="center", fontsize=7.5, color=BAD)
        axes.axhline(1, color=BAD, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.axhline(-1, color=BAD, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.set(ylim=(-1.18, 1.3), ylabel="action")
    all_axes[-1].set_xlabel("action column; above it, the share of its steps at full scale")
    return figure


def states(state: Mapping[str, Array]) -> Figure:
    """A panel a state field, a violin a column, in its own unit."""
    rows = _packed({name: min(values.shape[1], _VIOLINS_A_ROW) for name, values in state.items()})
    figure = Figure(figsize=(9.0, 2.3 * len(rows) + 0.2), layout="constrained")
    for part, names in zip(figure.subfigures(len(rows), 1, squeeze=False)[:, 0], rows, strict=True):
        widths = [max(2.2, min(state[name].shape[1], _VIOLINS_A_ROW)) for name in names]
        free = _VIOLINS_A_ROW - sum(widths)  # left blank where the row is short: one field of one column stays narrow
        ratios = [*widths, free] if free > _VIOLINS_A_ROW / 3 else widths
        all_axes = part.subplots(1, len(ratios), squeeze=False, width_ratios=ratios)[0]
        for axes in all_axes[len(names) :]:
            axes.set_axis_off()
        for axes, name in zip(all_axes, names, strict=False):
            _field(axes, state[name], name)
    return figure


def coverage(sample: Sample) -> Figure:
    """Where the states lie, coloured by when they came, and how much of it each further episode added."""
    figure, (where, when) = grid(2, height_in=3.4, width_ratios=(1.1, 1))
    state = np.concatenate([np.zeros((len(sample.episode), 0)), *sample.state.values()], axis=1)
    at, names = plane(sample.state, state)
    mixed = np.argsort(np.arange(len(at)) * 0.618 % 1)  # drawn in the order they came, the latest would hide the rest
    points = where.scatter(
        at[mixed, 0], at[mixed, 1], s=5, c=sample.episode[mixed], cmap="viridis", alpha=0.6, linewidths=0
    )
    where.set(title="states", xlabel=names[0], ylabel=names[1])
    bar = figure.colorbar(points, ax=where, pad=0.01, aspect=30)
    bar.outline.set_visible(False)
    bar.set_label("episode number")
    for label, values, colour in (("states", state, INK), ("actions", sample.action, AFTER)):
        number, share = visited(values, sample.episode)
        when.step(number, 100 * share, where="post", color=colour, label=label)
    when.set(title="seen so far", xlabel="episode number", ylabel="% of all cells ever visited", ylim=(0, 103))
    when.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    when.legend(loc="lower right")
    return figure


def plane(fields: Mapping[str, Array], state: Array) -> tuple[Array, tuple[str, str]]:
    """The states on a plane (N, 2) with the names of its axes: the tool's two widest, else two principal components."""
    position = fields.get("tool_position_m")
    if position is not None and position.shape[1] == 3:
        widest = np.sort(np.argsort(-np.ptp(position, axis=0))[:2])
        first, second = ("xyz"[i] for i in widest)
        return position[:, widest], (f"tool {first} (m)", f"tool {second} (m)")
    spread = state.std(axis=0)
    unit = (state - state.mean(axis=0)) / np.where(spread > 1e-6, spread, np.inf)
    covariance = unit.T @ unit / max(1, len(unit))
    axes = np.linalg.eigh(covariance)[1][:, ::-1][:, :2] if state.shape[1] else np.zeros((0, 2))
    flat = unit @ axes
    return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1]))), ("first principal component", "second")


def visited(values: Array, episode: Array, *, n_cells: int = 12) -> tuple[Array, Array]:
    """Episode numbers (E,) and the share (E,) of all visited cells that had been visited by the end of each.

    A cell is a square of n_cells x n_cells over two principal components: of more, all cells would be new ones.
    """
    at, _ = plane({}, np.asarray(values, np.float64))
    low, high = at.min(axis=0), at.max(axis=0)
    cell = np.floor((at - low) / np.where(high > low, high - low, 1.0) * (n_cells - 1e-6)).astype(np.int64)
    _, first = np.unique(cell[:, 0] * n_cells + cell[:, 1], return_index=True)  # the row that saw the cell first
    numbers = np.unique(episode)
    new = np.isin(np.arange(len(episode)), first)
    return numbers, np.array([new[episode <= number].sum() for number in numbers]) / max(1, len(first))


def _sources(axes: Axes, vitals: Sequence[Vitals], number: Array) -> None:
    """Stacked shares of the steps by who moved."""
    below = np.zeros(len(vitals))
    for source, colour in SOURCES.items():
        share = np.array([100 * v.sources.get(source, 0) / v.n_steps for v in vitals])
        if share.any():
            axes.bar(number, share, width=1.0, bottom=below, color=colour, label=source.name.lower())
            below = below + share
    axes.set(ylabel="% of steps by", ylim=(-14, 101))
    axes.set_yticks([0, 50, 100])


def _modes(axes: Axes, vitals: Sequence[Vitals]) -> None:
    """A band under the shares, coloured by mode, each named where it first appears."""
    start = 0
    for i in range(1, len(vitals) + 1):
        if i < len(vitals) and vitals[i].mode == vitals[start].mode:
            continue
        left, right = vitals[start].number - 0.5, vitals[i - 1].number + 0.5
        axes.fill_between([left, right], -12, -5, color=MODES.get(vitals[start].mode, FAINT), linewidth=0)
        known = {text.get_text() for text in axes.texts}
        if f" {vitals[start].mode}" not in known:
            axes.text(left, -8.5, f" {vitals[start].mode}", fontsize=7, va="center", color="white")
        start = i


def _field(axes: Axes, values: Array, name: str) -> None:
    if values.shape[1] > _VIOLINS_A_ROW:
        _bands(axes, values)
    else:
        _violins(axes, values, first=0, colour=BEFORE)
    axes.set_title(name, fontsize=9)


def _violins(axes: Axes, values: Array, *, first: int, colour: str) -> None:
    """A violin a column of values (N, k), with its extremes and its median; a column that never changes is a cross."""
    for i, column in enumerate(values.T, start=first):
        if not len(column) or np.ptp(column) < 1e-6:
            axes.plot([i], column[:1], marker="x", color=BAD, markersize=6)
            continue
        at, half = _outline(column)
        axes.fill_betweenx(at, i - half, i + half, color=colour, alpha=0.55, linewidth=0)
        axes.hlines([column.min(), column.max()], i - 0.25, i + 0.25, color=INK, linewidth=0.8)
        axes.plot([i], [np.median(column)], marker="o", color="white", markeredgecolor=INK, markersize=3.5)
    axes.set_xticks(range(first, first + values.shape[1]))
    axes.set_xlim(first - 0.6, first + values.shape[1] - 0.4)
    axes.grid(axis="x", visible=False)


def _outline(column: Array) -> tuple[Array, Array]:
    """Heights and half widths of a violin: a histogram, smoothed, as its root so that thin parts are seen."""
    counts, edges = np.histogram(column, _BINS)
    smooth = np.convolve(counts, np.array([1, 4, 6, 4, 1]) / 16, mode="same")
    half = 0.42 * np.sqrt(smooth / smooth.max())
    middle = (edges[1:] + edges[:-1]) / 2
    return np.concatenate([edges[:1], middle, edges[-1:]]), np.concatenate([half[:1], half, half[-1:]])


def _bands(axes: Axes, values: Array) -> None:
    """Percentiles of many columns: all, 90 % and half of the steps."""
    x = np.arange(values.shape[1])
    for low, high, alpha in ((0, 100, 0.12), (5, 95, 0.25), (25, 75, 0.45)):
        axes.fill_between(x, *np.percentile(values, [low, high], axis=0), color=BEFORE, alpha=alpha, linewidth=0)
    axes.plot(x, np.median(values, axis=0), color=INK, linewidth=0.9)
    idle = np.flatnonzero(np.ptp(values, axis=0) < 1e-6)
    axes.plot(idle, values[0, idle], marker="x", linestyle="", color=BAD, markersize=5)


def _packed(widths: Mapping[str, int]) -> list[list[str]]:
    """Names row by row, as many as fit, in order."""
    rows: list[list[str]] = [[]]
    used = 0.0
    for name, width in widths.items():
        wide = max(2.2, width)
        if rows[-1] and used + wide > _VIOLINS_A_ROW:
            rows.append([])
            used = 0.0
        rows[-1].append(name)
        used += wide + 1.5
    return rows


def _edges(values: Array, *, least: float, n: int = 60) -> Array:
    """n bins over the values, no narrower than `least`: equal periods are one bar and not noise."""
    if not len(values):
        return np.array([0.0, 1.0])
    middle, half = (values.max() + values.min()) / 2, max(np.ptp(values) / 2, least * n / 2)
    return np.linspace(middle - half, middle + half, n + 1)


def _legend_right(axes: Axes) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=1.2, borderaxespad=0.2)
