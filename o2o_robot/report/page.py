"""One self-contained HTML page of a run: no network, no script, every figure inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from o2o_robot.report import accounts, budget, figures, plots, sections
from o2o_robot.report import learning as learning_section
from o2o_robot.report import stops as stops_section
from o2o_robot.report.gather import RunFacts, gather
from o2o_robot.report.html import render, write_whole
from o2o_robot.report.interventions import interventions
from o2o_robot.report.moments import moments
from o2o_robot.report.plots import Plot
from o2o_robot.report.story import story

TITLES = {"": "offline to online", "collect": "demonstrations", "finetune": "fine-tuning"}


def write_report(run_dir: str | Path) -> Path:
    """Write RUN/report.html and RUN/figures/*.png; gives the page. Raises DataError where there is no run folder.

    A part that is missing or damaged is named on the page. The page stays below 8 MB (budget.py).
    """
    run = gather(Path(run_dir))
    content, drawn = _content(run)
    page = run.folder / "report.html"
    write_whole(page, render("report.html", content).encode())
    for plot in drawn:
        if plot.png:
            write_whole(run.folder / "figures" / f"{plot.name}.png", plot.png)
    return page


def _content(run: RunFacts) -> tuple[dict[str, Any], list[Plot]]:
    """What the template fills in, and every figure."""
    with figures.style():
        reliability, value_rows = plots.reliability(run)
        told, guard, training = story(run), plots.guard(run), plots.training(run)
        strips = () if run.only_stage else plots.filmstrips(run)
        person = interventions(run)
        learning = learning_section.learning(run)
        stops = stops_section.stops(run.folder)
        seen = moments(run)
    figures_first = (told, *person.plots, reliability, guard, training)
    drawn = [
        plot if plot.is_photo else plot._replace(png=budget.palette(plot.png)) if plot.png else plot
        for plot in (*figures_first, *seen.strips, *strips, *learning.plots, *stops.plots)
    ]
    out = budget.left_out(drawn)
    shown = iter([_not_shown(plot) if k in out else plot for k, plot in enumerate(drawn)])
    content = {
        "title": f"{run.summary.get('task', run.settings.get('task', 'run'))}: {_title(run)}",
        "folder": str(run.folder.resolve()),
        "headline": sections.headline(run),
        "key_facts": sections.key_facts(run),
        "story": next(shown),
        "person": person._replace(plot=next(shown) if person.plots else None),
        "reliability": next(shown),
        "value_rows": value_rows,
        "guard": next(shown),
        "training": next(shown),
        "moments": seen._replace(strips=tuple(next(shown) for _ in seen.strips)),
        "strips": tuple(next(shown) for _ in strips),
        "learning": learning._replace(plots=tuple(next(shown) for _ in learning.plots)),
        "stops": stops._replace(plots=tuple(next(shown) for _ in stops.plots)),
        "has_learner": run.only_stage in ("", "finetune"),
        "accounts": accounts.accounts(run),
        "switches": sections.phase_switches(run),
        "stages": sections.stage_rows(run),
        "nodes": sections.node_rows(run),
        "settings": sections.setting_groups(run),
        "versions": sections.version_rows(run),
        "missing": run.missing,
    }
    return content, drawn


def _title(run: RunFacts) -> str:
    return TITLES.get(run.only_stage, "evaluation")


def _not_shown(plot: Plot) -> Plot:
    return plot._replace(png=b"", lacks=f"left out to keep this page small; it is figures/{plot.name}.png")
