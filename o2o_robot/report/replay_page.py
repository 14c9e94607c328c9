"""One page of a replay: what was recorded, what the twin made of the same commands, and how far apart they lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from o2o_robot.data.provenance import git_revision, versions
from o2o_robot.jsonfile import write_json
from o2o_robot.report import figures, replay_figures
from o2o_robot.report.html import render, write_whole
from o2o_robot.report.plots import Plot
from o2o_robot.report.replay_plan import Plan
from o2o_robot.report.replay_tracking import Gap, Motion, Tracking

_EXACT_M = 1e-5

_JOINTS = (
    "Each joint as it was recorded and as the twin moved, and beneath it their difference in mrad on its own scale. "
    "Look for a difference that has the shape of the velocity: that is delay; a constant one is gravity or friction."
)
_TOOL = (
    "The tool in the base frame: position along each axis, the error along each axis, its length, and the angle "
    "between the two orientations."
)


def write_page(
    plan: Plan, got: Motion, found: Tracking, *, source: str, start: str, names: Sequence[str], out: Path
) -> Path:
    """Write OUT/replay.html, replay.json, joints.png and tool.png; gives the page."""
    with figures.style():
        plots = {
            "joints": Plot("joints", _JOINTS, figures.png(replay_figures.joints(plan.wanted, got, tuple(names)))),
            "tool": Plot("tool", _TOOL, figures.png(replay_figures.tool(plan.wanted, got))),
        }
    facts = {**versions(), "git_revision": git_revision()}
    content = {
        "title": f"{plan.name}: replayed on the twin",
        "source": source,
        "headline": headline(found),
        "key_facts": _key_facts(plan, start),
        "rows": rows(found, names),
        "limits": limits(plan),
        "versions": list(facts.items()),
        **plots,
    }
    write_whole(out / "replay.html", render("replay.html", content).encode())
    for plot in plots.values():
        write_whole(out / f"{plot.name}.png", plot.png)
    write_json(out / "replay.json", as_json(plan, found, names) | {"source": source, "start": start, "versions": facts})
    return out / "replay.html"


def headline(found: Tracking) -> str:
    """The result in one sentence."""
    if found.tool.most < _EXACT_M:
        return f"The twin did the same again: the tool is never further than {found.tool.most * 1e6:.2g} µm away."
    late = "" if found.tool.lag_s is None else f", {found.tool.lag_s * 1e3:.0f} ms late"
    worst = max(range(len(found.joints)), key=lambda i: found.joints[i].rms)
    return (
        f"The tool follows the recording to {found.tool.rms * 1e3:.1f} mm RMS ({found.tool.most * 1e3:.1f} mm at most)"
        f"{late}; {found.tool.rms_without_lag * 1e3:.1f} mm without the delay. "
        f"Joint {worst + 1} is furthest off: {found.joints[worst].rms * 1e3:.1f} mrad RMS."
    )


def rows(found: Tracking, names: Sequence[str]) -> list[tuple[str, ...]]:
    """Lines of the table, joints in mrad, tool in mm, turn in mrad."""
    joints = [_row(name, gap, "mrad") for name, gap in zip(names, found.joints, strict=True)]
    return [*joints, _row("tool position", found.tool, "mm"), _row("tool orientation", found.turn, "mrad")]


def limits(plan: Plan) -> list[str]:
    """What keeps this replay from being exact."""
    if plan.kind == "joint path":
        return [
            "The joints were sent as tool poses (by forward kinematics), with the recorded posture for what they leave "
            "free: the twin follows poses by Cartesian impedance, as the arm behind this project's nodes does.",
            "The recorded arm was led by another controller than the twin's; so this measures the twin's own tracking "
            "along a real path, and no difference between twin and arm in friction or load.",
        ]
    return [
        "Targets are counted from the recorded pose plus the executed action, both stored as float32: about 1e-8 m.",
        "A twin recorded in lockstep does the same again to that rounding, which contact may amplify. In real time the "
        "targets took effect when they arrived, and the guard sent holds between them: neither is in the store.",
    ]


def as_json(plan: Plan, found: Tracking, names: Sequence[str]) -> dict[str, Any]:
    joints = {name: gap._asdict() for name, gap in zip(names, found.joints, strict=True)}
    return {
        "name": plan.name,
        "kind": plan.kind,
        "seconds": float(plan.wanted.t_s[-1]),
        "commands": len(plan.commands),
        "joints_rad": joints,
        "tool_m": found.tool._asdict(),
        "turn_rad": found.turn._asdict(),
    }


def _row(name: str, gap: Gap, unit: str) -> tuple[str, ...]:
    late = "–" if gap.lag_s is None else f"{gap.lag_s * 1e3:.0f} ms"
    sizes = [f"{value * 1e3:.3g} {unit}" for value in (gap.rms, gap.most)]
    return (name, *sizes, late, f"{gap.rms_without_lag * 1e3:.3g} {unit}")


def _key_facts(plan: Plan, start: str) -> list[tuple[str, str]]:
    t_s = plan.wanted.t_s
    speed = np.linalg.norm(np.diff(plan.wanted.tool_m, axis=0), axis=1) / np.diff(t_s)
    return [
        ("replayed", plan.kind),
        ("commands", f"{len(plan.commands)} in {t_s[-1]:.1f} s"),
        ("start", start),
        ("fastest tool motion", f"{speed.max():.2f} m/s"),
    ]
