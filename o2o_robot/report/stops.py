"""The report's section on what stopped the arm: each black box of a run with its picture."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from o2o_robot.black_box import PICTURE
from o2o_robot.errors import O2OError
from o2o_robot.jsonfile import read_json
from o2o_robot.report import black_box
from o2o_robot.report.plots import Plot

MOST_SHOWN = 8  # a flapping guard must not make a page of a hundred megabytes


class Stop(NamedTuple):
    """A row of the table. shown: whether its picture is on the page."""

    when: str
    stage: str
    reason: str
    episode: str
    folder: str
    shown: bool


class Stops(NamedTuple):
    rows: tuple[Stop, ...]
    plots: tuple[Plot, ...]


def stops(run_dir: Path) -> Stops:
    """Every whole black box of the run, and the pictures of the first few, drawn where they are not yet."""
    folders = black_box.find(run_dir)
    rows = tuple(_row(run_dir, folder, shown=k < MOST_SHOWN) for k, folder in enumerate(folders))
    plots = tuple(_plot(folder, row) for folder, row in zip(folders, rows, strict=True) if row.shown)
    return Stops(rows, plots)


def _row(run_dir: Path, folder: Path, *, shown: bool) -> Stop:
    try:
        facts = read_json(folder / black_box.FACTS)
    except O2OError:
        facts = {}
    reason = "; then ".join([str(facts.get("reason", "?")), *map(str, facts.get("also", ()))])
    stage = folder.parent.parent.relative_to(run_dir).as_posix().strip(".")
    where = folder.relative_to(run_dir).as_posix()
    return Stop(str(facts.get("made_at", "")), stage, reason, str(facts.get("episode", "")), where, shown)


def _plot(folder: Path, row: Stop) -> Plot:
    picture, caption = folder / PICTURE, f"{row.reason}, in {row.folder}; 0 s is the stop"
    try:
        png = (picture if picture.is_file() else black_box.draw(folder)).read_bytes()
    except (OSError, O2OError) as problem:
        return Plot(f"stop-{folder.name}", caption, lacks=str(problem))
    return Plot(f"stop-{folder.name}", caption, png)
