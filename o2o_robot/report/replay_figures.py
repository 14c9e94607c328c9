"""The figures of a replay: every joint with its error, and the tool."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from o2o_robot.report.figures import AFTER, BAD, BEFORE, FAINT, grid
from o2o_robot.report.replay_tracking import Motion
from o2o_robot.robot.rotation import rotation_vector

_COLUMNS = 2
_AXES = "xyz"


def joints(wanted: Motion, got: Motion, names: tuple[str, ...]) -> Figure:
    """A panel a joint: recorded and replayed position, and beneath them their difference on its own scale."""
    n_rows = -(-len(names) // _COLUMNS)
    figure, all_axes = grid(_COLUMNS, n_rows=2 * n_rows, height_in=1.75 * n_rows + 0.4, sharex=True)
    figure.get_layout_engine().set(hspace=0.02)  # type: ignore[union-attr,call-arg]
    for axes in all_axes:
        axes.set_visible(False)
    for i, name in enumerate(names):
        at = (i // _COLUMNS) * 2 * _COLUMNS + i % _COLUMNS
        _pair(all_axes[at], wanted.t_s, wanted.q_rad[:, i], got.q_rad[:, i], name)
        _error(all_axes[at + _COLUMNS], wanted.t_s, (got.q_rad[:, i] - wanted.q_rad[:, i]) * 1e3, "mrad")
    for column in range(_COLUMNS):
        lowest = [axes for axes in all_axes[column::_COLUMNS] if axes.get_visible()][-1:]
        for axes in lowest:
            axes.set_xlabel("s")
            axes.tick_params(labelbottom=True)
    handles, labels = all_axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2)
    return figure


def tool(wanted: Motion, got: Motion) -> Figure:
    """Position along each axis of the base, distance of the two, and angle between the two orientations."""
    figure, axes = grid(3, n_rows=2, height_in=4.2, sharex=True)
    for i in range(3):
        _pair(axes[i], wanted.t_s, wanted.tool_m[:, i], got.tool_m[:, i], f"{_AXES[i]} (m)")
    error_mm = (got.tool_m - wanted.tool_m) * 1e3
    for i, colour in enumerate((AFTER, BEFORE, "#e0a030")):
        axes[3].plot(wanted.t_s, error_mm[:, i], color=colour, linewidth=1.1, label=_AXES[i])
    axes[3].set(title="error by axis (mm)", xlabel="s")
    axes[3].legend(loc="best", ncols=3, fontsize=7)
    _error(axes[4], wanted.t_s, np.linalg.norm(error_mm, axis=1), "")
    axes[4].set(title="distance (mm)", xlabel="s", ylabel="")
    turns = [rotation_vector(a, b) for a, b in zip(wanted.tool_quat_xyzw, got.tool_quat_xyzw, strict=True)]
    _error(axes[5], wanted.t_s, np.degrees(np.linalg.norm(turns, axis=1)), "")
    axes[5].set(title="angle between orientations (deg)", xlabel="s", ylabel="")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2)
    return figure


def _pair(axes: Axes, t_s: np.ndarray, wanted: np.ndarray, got: np.ndarray, title: str) -> None:
    axes.set_visible(True)
    axes.plot(t_s, wanted, color=FAINT, linewidth=2.6, label="recorded")
    axes.plot(t_s, got, color=AFTER, linewidth=1.1, label="replayed on the twin")
    axes.set_title(title, fontsize=8.5)


def _error(axes: Axes, t_s: np.ndarray, error: np.ndarray, unit: str) -> None:
    axes.set_visible(True)
    axes.axhline(0.0, color=FAINT, linewidth=0.7)
    axes.plot(t_s, error, color=BAD, linewidth=1.0)
    axes.set_ylabel(unit, fontsize=7.5)
