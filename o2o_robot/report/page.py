"""One self-contained HTML page of a run: no network, no script, every figure inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from o2o_robot.report import figures, plots, sections
from o2o_robot.report import learning as learning_section
from o2o_robot.report.gather import RunFacts, gather
from o2o_robot.report.html import render, write_whole
from o2o_robot.report.plots import Plot


def write_report(run_dir: str | Path) -> Path:
    """Write RUN/report.html and RUN/figures/*.png; gives the page. Raises DataError where there is no run folder.

    A part that is missing or damaged is named on the page.
    """
    run = gather(Path(run_dir))
    content = _content(run)
    page = run.folder / "report.html"
    write_whole(page, render("report.html", content).encode())
    for plot in content["plots"]:
        if plot.png:
            write_whole(run.folder / "figures" / f"{plot.name}.png", plot.png)
    return page


def _content(run: RunFacts) -> dict[str, Any]:
    """What the template fills in."""
    with figures.style():
        reliability, value_rows = plots.reliability(run)
        success, guard, training = plots.success(run), plots.guard(run), plots.training(run)
        strips = plots.filmstrips(run)
        learning = learning_section.learning(run)
    drawn: tuple[Plot, ...] = (success, reliability, guard, training, *strips, *learning.plots)
    return {
        "title": f"{run.summary.get('task', run.settings.get('task', 'run'))}: offline to online",
        "folder": str(run.folder.resolve()),
        "headline": sections.headline(run),
        "key_facts": sections.key_facts(run),
        "success": success,
        "reliability": reliability,
        "value_rows": value_rows,
        "guard": guard,
        "training": training,
        "learning": learning,
        "strips": strips,
        "switches": sections.phase_switches(run),
        "stages": sections.stage_rows(run),
        "nodes": sections.node_rows(run),
        "settings": sections.setting_groups(run),
        "versions": sections.version_rows(run),
        "missing": run.missing,
        "plots": drawn,
    }
