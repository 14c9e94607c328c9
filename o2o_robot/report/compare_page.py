"""The page of a comparison: one HTML file, as a run's report is."""

from __future__ import annotations

from pathlib import Path

from o2o_robot.report import budget, figures
from o2o_robot.report import compare_figures as draw
from o2o_robot.report.compare import Comparison, Side
from o2o_robot.report.html import render, write_whole
from o2o_robot.report.plots import Plot
from o2o_robot.report.sections import percent

HEAD = (
    "run",
    "robot min",
    "steps",
    "success at the end",
    "95 %",
    "counted from",
    "by hand",
    "Q slope",
    "Q rank",
    "Q gap",
)


def row(side: Side) -> tuple[str, ...]:
    """A run's line under HEAD. By hand: share of steps in the first and in the second half of its episodes."""
    found, critic = side.end.rate, side.critic
    hand = f"{percent(side.person[0])} → {percent(side.person[1])}" if side.takeovers else "never"
    return (
        side.name,
        f"{side.robot_min:.1f}",
        str(side.n_steps),
        found.percent if found else "–",
        f"{100 * found.interval.lo:.0f} to {100 * found.interval.hi:.0f} %" if found else "–",
        f"{side.end.what} ({found.n})" if found else side.end.what,
        hand,
        *(_two(value) for value in (critic or (float("nan"),) * 3)),
    )


def write_comparison(found: Comparison, path: Path) -> Path:
    """Write the page; gives its path."""
    with figures.style():
        plots = [
            Plot("ends", _ENDS, figures.png(draw.ends(found.sides))),
            Plot("success", _SUCCESS, figures.png(draw.success(found.sides))),
            Plot("along", _ALONG, figures.png(draw.along(found.sides))),
        ]
    content = {
        "title": " · ".join(side.name for side in found.sides),
        "first": found.sides[0].name,
        "head": HEAD,
        "rows": [row(side) for side in found.sides],
        "verdicts": found.verdicts,
        "plots": [plot._replace(png=budget.palette(plot.png)) for plot in plots],
        "names": [side.name for side in found.sides],
        "folders": [str(side.run.folder.resolve()) for side in found.sides],
        "settings": found.settings,
        "equal_settings": found.equal_settings,
        "missing": [f"{side.name}: {text}" for side in found.sides for text in (*side.run.missing, *side.lacks)],
    }
    write_whole(path, render("compare.html", content).encode())
    return path


def _two(value: float) -> str:
    return f"{value:.2f}" if value == value else "–"


_ENDS = "Success at the end with its 95 % Wilson interval. Overlapping intervals may still differ: see the test."
_SUCCESS = (
    f"Success of the latest {draw.WINDOW} training episodes (of those so far, at the start) with its 95 % Wilson band. "
    "The dot is where learning begins. Left by minutes of episodes on the robot, right by environment steps: "
    "a run that is ahead on one and not on the other has longer episodes, or a slower loop."
)
_ALONG = (
    f"Means of the latest {draw.WINDOW} training episodes: what the guard changed and, where there was one, what a "
    "person did."
)
