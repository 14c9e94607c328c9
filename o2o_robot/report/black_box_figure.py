"""The picture of a stop: on the left all that was kept, on the right the moment itself; 0 s is the stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from o2o_robot.report.black_box import Signals, Track
from o2o_robot.report.figures import BAD, FAINT, GOOD, INK
from o2o_robot.safety.limits_table import FACTS
from o2o_robot.safety.reason import names
from o2o_robot.types import Array

NEAR_S = (-2.0, 1.0)
CEILING = 3.0  # times the bound, where an axis ends: a twin's arm jumps when its scene is reset
SPAN_S = 0.05  # over which speed is measured: finer, and the differences of two readings are noise
LINES = ("#1f77a4", "#e0a030", "#8a6fae", "#2e8b57", "#c0504d", "#5c6770", "#b07aa1")
STATE_COLOURS = {"RUN": GOOD, "ARMED": "#9cc5ae", "IDLE": "#d5dae0", "SOFT_STOP": "#e0a030", "LATCHED": BAD}
Panel = Callable[[Axes, Signals], None]


def stop(signals: Signals) -> Figure:
    """Panels that share time: guard, tool, joints, speed, acceleration, force, commands."""
    figure = Figure(figsize=(13.0, 14.0), layout="constrained")
    rows = _reason_rows(signals)
    heights = [0.5 + 0.19 * (1 + len(rows)), *[1.5] * (len(PANELS) - 1)]
    axes = figure.subplots(len(PANELS), 2, sharex="col", squeeze=False, height_ratios=heights)
    for (title, draw), pair in zip(PANELS.items(), axes, strict=True):
        for each in pair:
            draw(each, signals)
            each.axvline(0.0, color=BAD, linewidth=1.3, zorder=6)
        pair[0].set_title(title)
        pair[1].tick_params(labelleft=False)
        pair[1].set(ylabel="", ylim=pair[0].get_ylim())
        _keys(*pair)
    axes[0][0].set_xlim(*_whole(signals))
    axes[0][1].set_xlim(*NEAR_S)
    for last in axes[-1]:
        last.set_xlabel("seconds from the stop")
    figure.suptitle(_heading(signals), x=0.01, ha="left", fontsize=13, color=INK)
    return figure


def _heading(signals: Signals) -> str:
    facts = signals.facts
    told = [str(facts.get("episode") or "no episode"), str(facts.get("made_at", ""))]
    told += [f"limits {facts['limits']}"] if facts.get("limits") else ["limits not known: arm_node did not tell them"]
    return f"Stopped: {signals.title}\n{'   '.join(told)}"


def _whole(signals: Signals) -> tuple[float, float]:
    ends = [t for track in (signals.tool, signals.joints) if len(track.t_s) for t in (track.t_s[0], track.t_s[-1])]
    ends += [word.t_s for word in signals.words]
    return min([*ends, -1.0]), max([*ends, 0.5])


# --- panels ----------------------------------------------------------------------------------------------------------
def _states(axes: Axes, signals: Signals) -> None:
    """A band of states; below, a row for each reason: solid while the guard says it, a tick where a command met it."""
    rows, end_s = _reason_rows(signals), _whole(signals)[1]
    axes.set_yticks(range(len(rows) + 1), ["guard", *rows])
    axes.set_ylim(len(rows) + 0.6, -0.6)
    axes.grid(False)
    ends_s = [*(word.t_s for word in signals.words[1:]), end_s][: len(signals.words)]
    spans = [
        (word, (word.t_s, max(until_s - word.t_s, 0.0))) for word, until_s in zip(signals.words, ends_s, strict=True)
    ]
    for state in dict.fromkeys(word.state for word in signals.words):
        band = [span for word, span in spans if word.state == state]
        axes.broken_barh(band, (-0.45, 0.9), color=STATE_COLOURS.get(state, FAINT), label=state)
    for row, name in enumerate(rows, start=1):
        axes.broken_barh([span for word, span in spans if name in names(word.reasons)], (row - 0.25, 0.5), color=FAINT)
        met_s = [command.t_s for command in signals.commands if name in names(command.reasons)]
        axes.plot(met_s, [row] * len(met_s), "|", color=INK, markersize=7)
    for t_s, _ in signals.episodes:
        axes.axvline(t_s, color=FAINT, linestyle=(0, (2, 2)), linewidth=0.8)


def _tool(axes: Axes, signals: Signals) -> None:
    """Solid where it was, dotted where it was told to be; a wall is at 0 and at 1."""
    guard = signals.guard
    if guard is None:
        _lines(axes, signals.tool, ("x", "y", "z"))
        axes.set_ylabel("m")
        return
    low, high = np.array(guard.workspace_min_m), np.array(guard.workspace_max_m)
    _lines(axes, _scaled(signals.tool, low, high), ("x", "y", "z"))
    _lines(axes, _scaled(signals.target, low, high), (), style=":")
    _walls(axes, 0.0, 1.0)


def _joints(axes: Axes, signals: Signals) -> None:
    names_ = [str(k) for k in range(1, 1 + len(signals.facts.get("joints", ())))]
    facts = FACTS.get((signals.guard.robot, signals.guard.joint_box)) if signals.guard else None
    found = facts() if facts else None
    if found is None or signals.joints.values.shape[1:] != found.min_rad.shape:
        _lines(axes, signals.joints, names_)
        axes.set_ylabel("rad")
        return
    _lines(axes, _scaled(signals.joints, found.min_rad, found.max_rad), names_)
    _walls(axes, 0.0, 1.0)


def _speed(axes: Axes, signals: Signals) -> None:
    speed = rate(signals.tool)
    _lines(axes, Track(speed.t_s, _norm(speed.values)), ("tool",))
    _bound(axes, signals.guard.max_speed_m_s if signals.guard else 0.0, "bound of a command")
    axes.set_ylabel("m/s")


def _acceleration(axes: Axes, signals: Signals) -> None:
    acceleration, guard = rate(rate(signals.tool)), signals.guard
    _lines(axes, Track(acceleration.t_s, _norm(acceleration.values)), ("tool",))
    if guard is not None:
        holds = guard.shaped and not guard.lockstep
        told = "bound" if holds else "bound of shaped motion; this is not shaped"
        _bound(axes, guard.max_acceleration_m_s2, told)
    axes.set_ylabel("m/s²")


def _force(axes: Axes, signals: Signals) -> None:
    if not len(signals.force.t_s):
        axes.text(0.5, 0.5, "arm_node hears no force sensor", transform=axes.transAxes, ha="center", color=FAINT)
        return
    _lines(axes, signals.force, ("|force|",))
    if signals.guard is not None:
        axes.axhline(signals.guard.soft_force_n, color=FAINT, linestyle=":", linewidth=1.1, label="soft bound")
        _bound(axes, signals.guard.hard_force_n, "hard bound", colour=BAD)
    axes.set_ylabel("N")


def _commands(axes: Axes, signals: Signals) -> None:
    """Thin with dots as asked, thick as sent."""
    if signals.commands:
        size = len(signals.commands[-1].executed)
        same = [c for c in signals.commands if len(c.executed) == len(c.proposed) == size]
        t_s = np.array([command.t_s for command in same])
        asked, sent = (np.array([getattr(c, n) for c in same]).reshape(-1, size) for n in ("proposed", "executed"))
        for k, colour in zip(range(size), LINES, strict=False):
            axes.plot(t_s, asked[:, k], color=colour, linewidth=0.8, marker=".", markersize=3, alpha=0.7)
            axes.step(t_s, sent[:, k], color=colour, linewidth=1.6, where="post", label="xyzg"[k] if k < 4 else str(k))
    axes.set(ylabel="1 = full scale", ylim=(-1.15, 1.15))


PANELS: dict[str, Panel] = {
    "guard and its reasons (tick: a command changed or refused; dashed: an episode's start, end)": _states,
    "tool in the workspace (0 and 1: its walls; dotted: target)": _tool,
    "joints in their box (0 and 1: its ends)": _joints,
    "speed of the tool (axis ends at three times the bound)": _speed,
    "acceleration of the tool (likewise)": _acceleration,
    "force at the tool (likewise)": _force,
    "commands: asked (thin, dots) and executed (thick)": _commands,
}


# --- numbers ---------------------------------------------------------------------------------------------------------
def rate(track: Track) -> Track:
    """Change a second, between samples at least SPAN_S apart, at the middle of the two."""
    t_s, values = track
    before = np.searchsorted(t_s, t_s - SPAN_S + 1e-6, side="right") - 1
    after = np.flatnonzero(before >= 0)
    before = before[after]
    dt_s = t_s[after] - t_s[before]
    return Track((t_s[after] + t_s[before]) / 2, (values[after] - values[before]) / dt_s[:, None])


def _scaled(track: Track, low: Array, high: Array) -> Track:
    """0 at `low`, 1 at `high`."""
    if track.values.shape[1:] != low.shape:
        return Track(np.zeros(0), np.zeros((0, len(low))))
    return Track(track.t_s, (track.values - low) / (high - low))


def _norm(values: Array) -> Array:
    return np.asarray(np.linalg.norm(values, axis=1)[:, None])


def _reason_rows(signals: Signals) -> list[str]:
    masks = [word.reasons for word in signals.words] + [command.reasons for command in signals.commands]
    return sorted({name for mask in masks for name in names(mask)})


# --- strokes ---------------------------------------------------------------------------------------------------------
def _lines(axes: Axes, track: Track, labels: Sequence[str], style: str = "-") -> None:
    for k in range(track.values.shape[1] if len(track.t_s) else 0):
        label = labels[k] if k < len(labels) else None
        axes.plot(track.t_s, track.values[:, k], style, color=LINES[k % len(LINES)], linewidth=1.3, label=label)


def _keys(left: Axes, right: Axes) -> None:
    """What the lines are, above the right panel, where no line is."""
    handles, labels = left.get_legend_handles_labels()
    if handles:
        right.legend(
            handles, labels, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=9, fontsize=8, borderaxespad=0.1
        )


def _walls(axes: Axes, low: float, high: float) -> None:
    bottom, top = axes.get_ylim()
    bottom, top = min(bottom, low - 0.08), max(top, high + 0.08)
    for start, end in ((bottom, low), (high, top)):
        axes.axhspan(start, end, color=BAD, alpha=0.13, linewidth=0)
    axes.set_ylim(bottom, top)


def _bound(axes: Axes, value: float, label: str, colour: str = FAINT) -> None:
    if value > 0 and np.isfinite(value):
        axes.axhline(value, color=colour, linestyle=(0, (4, 3)), linewidth=1.1, label=label)
        axes.set_ylim(0, min(max(axes.get_ylim()[1], 1.2 * value), CEILING * value))
