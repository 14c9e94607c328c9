"""The figures of a calibration report: results in, a PNG out."""

from __future__ import annotations

import io
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from o2o_calibration.action_latency import ActionLatency
from o2o_calibration.delay import Delay, Signal
from o2o_calibration.geometry import gap, middle
from o2o_calibration.hand_eye import HandEye
from o2o_calibration.intrinsics import Intrinsics
from o2o_calibration.twin_fit import TwinFit
from o2o_robot.types import Array

INK, FAINT, BEFORE, AFTER, BAD = "#2b2f36", "#8a919c", "#8a6fae", "#1f77a4", "#c0504d"
_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e6ea",
    "axes.axisbelow": True,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


def intrinsics(before: Intrinsics, after: Intrinsics, photo: Array, corners: Array) -> bytes:
    """A photograph with its corners, residual arrows without and with the lens model, coverage, error of each view."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure((10, 7.2), layout="constrained")
        axes = figure.subplots(2, 3)
        axes[0, 0].imshow(photo, cmap="gray", vmin=0, vmax=255)
        axes[0, 0].scatter(corners[:, 0], corners[:, 1], s=7, facecolors="none", edgecolors=AFTER, linewidths=0.8)
        axes[0, 0].grid(visible=False)
        axes[0, 0].set_title("one view, corners found")
        longest = max(_longest_px(before), 1e-6)
        for ax, result, name, colour in (
            (axes[0, 1], before, "pinhole", BEFORE),
            (axes[0, 2], after, "with lens", AFTER),
        ):
            _arrows(ax, result, 0.06 * result.size_px[0] / longest, colour)
            ax.set_title(f"{name}: residual {result.rms_px:.2f} px, arrows x{0.06 * result.size_px[0] / longest:.0f}")
        _coverage(axes[1, 0], after)
        _views(axes[1, 1], after)
        _spread(axes[1, 2], before, after)
        return _png(figure)


def hand_eye(result: HandEye, A: Array, B: Array, names: list[str]) -> bytes:
    """Residual of every view before and after refinement, and where tool, camera and board are."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure((10, 6.4), layout="constrained")
        grid = figure.add_gridspec(2, 2)
        boards = A @ result.first @ B
        good = result.is_good
        before = gap(middle(boards[good]), boards)
        for row, (b, a, unit) in enumerate(
            ((before.mm, result.residual.mm, "mm"), (before.deg, result.residual.deg, "deg"))
        ):
            ax = figure.add_subplot(grid[row, 0])
            x = np.arange(len(a))
            ax.bar(x - 0.2, b, 0.4, color=BEFORE, alpha=0.6, label="closed form")
            ax.bar(x + 0.2, a, 0.4, color=[AFTER if g else BAD for g in good], label="refined (red: left out)")
            ax.set_ylim(0, 1.3 * max(a[good].max(), b[good].max()))
            ax.set_xticks(
                x, [n.rsplit(".", 1)[0] for n in names] if len(names) <= 12 else x.astype(str).tolist(), rotation=60
            )
            ax.set_title(f"how far each view puts the board from where most do ({unit})")
            if row == 0:
                ax.legend()
        _scene(figure.add_subplot(grid[:, 1], projection="3d"), result, A)
        return _png(figure)


def delay(found: Delay, cause: Signal, motion: Signal) -> bytes:
    """The peak, and both signals before and after one is shifted by it."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure((10, 6), layout="constrained")
        top, middle, bottom = figure.subplots(3, 1)
        top.plot(found.shifts_s * 1e3, found.explained, color=AFTER)
        top.axvline(found.s * 1e3, color=INK, lw=0.8)
        top.axvspan((found.s - found.half_width_s) * 1e3, (found.s + found.half_width_s) * 1e3, color=AFTER, alpha=0.25)
        top.set_title(
            f"share of the motion explained at each delay (ms): {found.s * 1e3:.1f} +- {found.half_width_s * 1e3:.1f}"
        )
        for ax, shift_s, title in ((middle, 0.0, "as stamped"), (bottom, found.s, "after subtracting the delay")):
            _two_speeds(ax, cause, motion, shift_s)
            ax.set_title(title)
        bottom.set_xlabel("s")
        middle.legend(loc="upper right")
        return _png(figure)


def action_latency(found: ActionLatency, command: Signal, state: Signal, names: tuple[str, ...]) -> bytes:
    """Dead time and lag of every joint; the joint that moved most, commanded (as stamped, and delayed) and measured."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure((10, 3 + 0.22 * len(found.joints)), layout="constrained")
        bars, series = figure.subplots(2, 1, height_ratios=[max(0.08 * len(found.joints), 0.6), 1])
        joints = found.joints[::-1]
        y = np.arange(len(joints))
        bars.barh(y, [a.dead_s for a in joints], color=BEFORE, label="dead time")
        bars.barh(y, [a.lag_s for a in joints], left=[a.dead_s for a in joints], color=AFTER, label="time constant")
        bars.axvline(found.latency_s, color=INK, lw=0.8)
        bars.set_yticks(y, [a.name for a in joints], fontsize=7)
        bars.set_title(f"latency of each joint (s): median {found.latency_s:.3f} +- {found.half_width_s:.3f}")
        bars.legend()
        j = names.index(max(joints, key=lambda a: np.ptp(command.values[:, names.index(a.name)])).name)
        series.plot(command.t_s, command.values[:, j], color=BEFORE, lw=1, label=f"{names[j]} commanded (before)")
        series.plot(
            command.t_s + found.latency_s, command.values[:, j], color=AFTER, lw=1, label="commanded, delayed (after)"
        )
        series.plot(state.t_s, state.values[:, j], color=INK, lw=1, label="measured")
        series.set_xlabel("s")
        series.set_ylabel("rad")
        series.legend()
        return _png(figure)


def twin_fit(result: TwinFit, joints: tuple[str, ...]) -> bytes:
    """Each joint as measured, and its simulated answer before and after the fit, with the misfit below."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure((10, 2.6 * len(joints) + 0.4), layout="constrained")
        axes = figure.subplots(len(joints), 2, squeeze=False)
        for j, name in enumerate(joints):
            left, right = axes[j]
            for values, colour, label in (
                (result.measured, INK, "measured"),
                (result.before, BEFORE, "twin before"),
                (result.after, AFTER, "twin after"),
            ):
                left.plot(result.at_s, values[:, j], color=colour, lw=1, label=label)
            right.plot(result.at_s, 1e3 * (result.before - result.measured)[:, j], color=BEFORE, lw=0.8)
            right.plot(result.at_s, 1e3 * (result.after - result.measured)[:, j], color=AFTER, lw=0.8)
            left.set_title(f"{name} ({result.unit})")
            right.set_title(f"misfit (m{result.unit})")
        axes[0, 0].legend()
        axes[-1, 0].set_xlabel("s")
        axes[-1, 1].set_xlabel("s")
        return _png(figure)


def _two_speeds(ax: Axes, cause: Signal, motion: Signal, shift_s: float) -> None:
    """Speed of the joints, and of the picture shifted back, each over its own largest."""
    dt_s = np.diff(motion.t_s)
    seen = np.linalg.norm(motion.values, axis=1) / dt_s
    at = np.stack([np.interp(motion.t_s - shift_s, cause.t_s, v) for v in cause.values.T], axis=1)
    caused = np.linalg.norm(np.diff(at, axis=0), axis=1) / dt_s
    middle_s = (motion.t_s[:-1] + motion.t_s[1:]) / 2
    ax.plot(middle_s, caused / max(caused.max(), 1e-12), color=BEFORE, lw=1, label="joints")
    ax.plot(middle_s, seen / max(np.nanmax(seen), 1e-12), color=AFTER, lw=1, label="picture")
    ax.set_xlim(middle_s[0], min(middle_s[-1], middle_s[0] + 8))


def _arrows(ax: Axes, result: Intrinsics, scale: float, colour: str) -> None:
    x, y, dx, dy = np.concatenate(list(result.residuals.values())).T
    ax.quiver(x, y, dx, dy, angles="xy", scale_units="xy", scale=1 / scale, color=colour, width=0.003)
    _as_picture(ax, result)


def _coverage(ax: Axes, result: Intrinsics) -> None:
    width, height = result.size_px
    ax.imshow(result.coverage.counts, extent=(0, width, height, 0), cmap="Blues", vmin=0, aspect="equal")
    most = result.coverage.counts.max()
    for (i, j), count in np.ndenumerate(result.coverage.counts):
        ax.text(
            (j + 0.5) * width / 3,
            (i + 0.5) * height / 3,
            str(count),
            ha="center",
            va="center",
            color=_legible(count, most),
        )
    ax.grid(visible=False)
    ax.set_title("corners seen in each part of the picture")


def _legible(count: int, most: int) -> str:
    return "white" if count > 0.6 * most else INK


def _views(ax: Axes, result: Intrinsics) -> None:
    colours = [AFTER if view.is_used else BAD for view in result.views]
    ax.bar(range(len(result.views)), [min(view.rms_px, 10 * result.rms_px) for view in result.views], color=colours)
    ax.set_title("error of each view (px); red: left out")


def _spread(ax: Axes, before: Intrinsics, after: Intrinsics) -> None:
    for result, colour, name in ((before, BEFORE, "pinhole"), (after, AFTER, "with lens")):
        errors = np.concatenate(list(result.residuals.values()))[:, 2:]
        ax.scatter(errors[:, 0], errors[:, 1], s=3, color=colour, alpha=0.5, linewidths=0, label=name)
    ax.set_aspect("equal", "datalim")
    ax.legend()
    ax.set_title("residuals (px)")


def _longest_px(result: Intrinsics) -> float:
    return float(max(np.abs(part[:, 2:]).max() for part in result.residuals.values()))


def _as_picture(ax: Axes, result: Intrinsics) -> None:
    ax.set_xlim(0, result.size_px[0])
    ax.set_ylim(result.size_px[1], 0)
    ax.set_aspect("equal")


def _scene(ax: Any, result: HandEye, A: Array) -> None:
    """Frames in the board's parent: cameras seen from a still board, or tools about a still camera."""
    cameras = A @ result.T_parent_cam if result.mount == "wrist" else result.T_parent_cam[None]
    boards = result.T_other_board[None] if result.mount == "wrist" else np.linalg.inv(A) @ result.T_other_board
    for frames, name, length_m in ((cameras, "camera", 0.04), (boards, "board", 0.06)):
        for k, colour in enumerate((BAD, "#2e8b57", AFTER)):
            o, d = frames[:, :3, 3], frames[:, :3, k] * length_m
            ax.quiver(*o.T, *d.T, color=colour, linewidth=1)
        ax.scatter(*frames[:, :3, 3].T, s=8, color=INK)
        ax.text(*frames[0, :3, 3], f" {name}", fontsize=8)
    ax.set_title("robot base frame (m); red x, green y, blue z")
    ax.set_aspect("equal")


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=130)
    return out.getvalue()
