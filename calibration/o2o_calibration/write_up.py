"""From a result to what is kept of it: the facts of its file, the rows and the caption of its page, its figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from o2o_calibration import report, results
from o2o_calibration.action_latency import ActionLatency
from o2o_calibration.delay import Delay
from o2o_calibration.geometry import gap, middle
from o2o_calibration.hand_eye import HandEye
from o2o_calibration.intrinsics import Intrinsics
from o2o_calibration.report import Row
from o2o_calibration.results import CameraPlace
from o2o_calibration.twin_fit import TwinFit
from o2o_robot.types import Array


@dataclass(frozen=True)
class Keeping:
    """Where and under which names a result is kept: root/robot/<day>-<what>[-<camera>].yaml."""

    root: Path
    robot: str
    day: date
    replace: bool = False


class WriteUp(NamedTuple):
    """facts: of the file, after what, robot and date. png, rows, caption: of the page beside it."""

    what: str
    camera: str
    facts: Mapping[str, Any]
    rows: list[Row]
    caption: str
    png: bytes


def keep(where: Keeping, told: WriteUp, source: str) -> Path:
    """Write the result file, its figure and its page; gives the file."""
    path = results.path_of(where.root, where.robot, where.day, told.what, told.camera)
    head = {"what": told.what, "robot": where.robot, "date": where.day.isoformat(), "source": source}
    results.save(path, {**head, **told.facts, "software": results.software()}, replace=where.replace)
    report.write(path, told.rows, told.png, told.caption)
    return path


def intrinsics(before: Intrinsics, after: Intrinsics, place: CameraPlace, board: str, png: bytes) -> WriteUp:
    facts = {
        "method": "Zhang 2000 (OpenCV calibrateCamera), views that do not fit left out, jackknife over views",
        "board": board,
        "camera": place.as_mapping(),
        "half_width_95": {name: round(value, 6) for name, value in after.half_width.items()},
        "rms_px": round(after.rms_px, 4),
        "n_views": after.n_used,
        "left_out": [view.name for view in after.views if not view.is_used],
        "largest_tilt_deg": round(after.tilt_deg, 1),
        "corners_by_part": after.coverage.counts.tolist(),
    }
    rows = [Row("reprojection error, px", f"{before.rms_px:.3f}", f"{after.rms_px:.3f}")]
    for name, value in after.values.items():
        old, half = before.values[name], after.half_width[name]
        rows.append(Row(name, _to_digits(old, before.half_width[name]), f"{_to_digits(value, half)} ± {half:.2g}"))
    caption = "Before: a pinhole without a lens. Arrows lead from where the model puts a corner to where it was seen."
    return WriteUp("intrinsics", place.name, facts, rows, caption, png)


def hand_eye(
    result: HandEye, place: CameraPlace, board: str, names: list[str], A: Array, B: Array, png: bytes
) -> WriteUp:
    good = result.is_good
    median_mm, median_deg = (float(np.median(part[good])) for part in result.residual)
    closed = (A @ result.first @ B)[good]
    first = gap(middle(closed), closed)
    facts = {
        "method": "best of five closed forms (OpenCV), robust least squares; views by least median of squares",
        "mount": result.mount,
        "board": board,
        "camera": place.as_mapping(),
        "board_is_fixed_to": "base" if result.mount == "wrist" else "tool",
        "T_fixed_board": results.rounded(result.T_other_board, 7),
        "half_width_95": {
            "xyz_mm": results.rounded(result.half_width_mm, 3),
            "xyz_deg": results.rounded(result.half_width_deg, 4),
        },
        "residual": {"median_mm": round(median_mm, 3), "median_deg": round(median_deg, 4)},
        "n_views": int(good.sum()),
        "left_out": [name for name, is_good in zip(names, good, strict=True) if not is_good],
        "second_axis_turn_deg": round(result.turn_deg, 1),
        "closed_forms_differ_by": {
            name: {"mm": round(float(off.mm[0]), 2), "deg": round(float(off.deg[0]), 3)}
            for name, off in result.by_method.items()
        },
    }
    rows = [
        Row("median residual, mm", f"{np.median(first.mm):.2f}", f"{median_mm:.2f}"),
        Row(
            "largest residual of a good view, mm",
            f"{first.mm.max():.2f}",
            f"{result.residual.mm[good].max():.2f}",
        ),
        Row("median residual, deg", f"{np.median(first.deg):.3f}", f"{median_deg:.3f}"),
        *(
            Row(f"{axis} of the camera in the {result.parent}, mm", f"{old:.2f}", f"{new:.2f} ± {half:.2f}")
            for axis, old, new, half in zip(
                "xyz", 1e3 * result.first[:3, 3], 1e3 * result.T_parent_cam[:3, 3], result.half_width_mm, strict=True
            )
        ),
    ]
    return WriteUp(
        "hand-eye", place.name, facts, rows, "Before: the best closed form of the good views. " + _HAND_EYE, png
    )


_HAND_EYE = "The interval is by bootstrap over views and over the intrinsics' own interval."


def latency(found: Delay, camera: str, png: bytes) -> WriteUp:
    facts = {
        "method": "least squares of picture motion on joint motion at every shift, moving-block bootstrap",
        "meaning": "a picture stamped t shows the joints as they were at t - latency_s",
        "latency_s": round(found.s, 5),
        "half_width_95_s": round(found.half_width_s, 5),
        "explained": round(found.peak, 4),
        "second_peak": round(found.rival, 4),
        "n_pictures": found.n_rows,
    }
    at_zero = float(np.interp(0.0, found.shifts_s, found.explained))
    rows = [
        Row("latency, ms", "0 (as stamped)", f"{1e3 * found.s:.1f} ± {1e3 * found.half_width_s:.1f}"),
        Row("share of the picture's motion that the joints explain", f"{at_zero:.3f}", f"{found.peak:.3f}"),
    ]
    caption = f"Before: as stamped. After: the picture's clock put back by {found.s * 1e3:.1f} ms."
    return WriteUp("latency", camera, facts, rows, caption, png)


def action_latency(found: ActionLatency, rms_rad: tuple[float, float], png: bytes) -> WriteUp:
    facts = {
        "method": "dead time and first-order lag of each joint by least squares; median, bootstrap over joints",
        "meaning": "a joint follows a slow change of its command after latency_s = dead time + time constant",
        "latency_s": round(found.latency_s, 4),
        "half_width_95_s": round(found.half_width_s, 4),
        "dead_s": round(found.dead_s, 4),
        "time_constant_s": round(found.lag_s, 4),
        "joints": {a.name: [round(v, 4) for v in (a.dead_s, a.lag_s, a.gain, a.explained)] for a in found.joints},
        "joints_are": ["dead_s", "time_constant_s", "gain", "explained"],
        "passed_over": list(found.passed_over),
    }
    rows = [
        Row("latency, ms", "0 (as stamped)", f"{1e3 * found.latency_s:.0f} ± {1e3 * found.half_width_s:.0f}"),
        Row("command against measured, rms of all joints, mrad", *(f"{1e3 * rms:.1f}" for rms in rms_rad)),
    ]
    caption = "Before: the command as stamped. After: delayed by the median latency."
    return WriteUp("action-latency", "", facts, rows, caption, png)


def twin_fit(found: TwinFit, before: Mapping[str, float], png: bytes) -> WriteUp:
    facts = {
        "method": "least squares over the twin's simulated answer, sandwich interval by quarter seconds",
        "meaning": _FITTED[found.unit],
        "parameters": {name: round(part.value, 6) for name, part in found.parameters.items()},
        "half_width_95": {name: round(part.half_width, 6) for name, part in found.parameters.items()},
        f"rms_before_{found.unit}": round(found.rms_before, 6),
        f"rms_after_{found.unit}": round(found.rms_after, 6),
        "n_samples": len(found.at_s),
    }
    rows = [Row(f"misfit, rms, m{found.unit}", f"{1e3 * found.rms_before:.2f}", f"{1e3 * found.rms_after:.2f}")]
    for name, (value, half) in found.parameters.items():
        rows.append(Row(name, f"{before[name]:.4g}", f"{_to_digits(value, half)} ± {half:.2g}"))
    return WriteUp("twin-fit", "", facts, rows, "The twin's answer to the recorded command, before and after.", png)


_FITTED = {
    "rad": "damping is of joint and controller together; gravity taken as compensated; SI units",
    "m": "settings of the twin's Cartesian impedance (ImpedanceConfig), delay of a target; SI units",
}


def _to_digits(value: float, half_width: float) -> str:
    """As many decimals as the interval warrants, and one more."""
    if not half_width > 0:
        return f"{value:.4g}"
    return f"{value:.{int(np.clip(1 - np.floor(np.log10(half_width)), 0, 7))}f}"
