"""Runs side by side, as facts: how each ended, whether that differs by more than chance, and which settings differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.errors import DataError, O2OError
from o2o_robot.report.gather import EpisodeLine, RunFacts, gather
from o2o_robot.report.plots import evaluated_by
from o2o_robot.report.sections import LATEST, SURE, Rate, exactly, flat, rate
from o2o_robot.report.statistics import holm, paired, unpaired
from o2o_robot.report.timeline import Row, timeline
from o2o_robot.report.values import values
from o2o_robot.types import Mode, Outcome

UNTOLD = ("run_dir", "checkpoint", "offline", "at", "format", "story")  # places and times: they always differ
MOST_RUNS = 8


class End(NamedTuple):
    """How a run ended: its success, counted from `what`; scenes: seed -> whether it succeeded."""

    rate: Rate | None
    what: str
    scenes: Mapping[int, bool]


class Critic(NamedTuple):
    """D4 of the final critic on what was run at the end: slope and Spearman are 1, gap 0 where it is right."""

    slope: float
    spearman: float
    gap: float


class Side(NamedTuple):
    """A run as it is compared. person: share of steps by hand in the first and in the second half of the episodes."""

    name: str
    run: RunFacts
    rows: tuple[Row, ...]
    end: End
    robot_min: float
    n_steps: int
    person: tuple[float, float]
    takeovers: float
    critic: Critic | None
    lacks: tuple[str, ...]


class Verdict(NamedTuple):
    """A run's end against the first run's. p_value is adjusted by Holm where there are several; NaN: no test."""

    name: str
    difference: float
    test: str
    p_value: float

    @property
    def words(self) -> str:
        if math.isnan(self.p_value):
            return self.test
        sure = "a real difference" if self.p_value < SURE else "chance is not ruled out"
        return f"{100 * self.difference:+.0f} points, {sure} ({self.test}, p = {self.p_value:.2g})"


class Comparison(NamedTuple):
    """settings: (name, value of each side), those that differ; "–" where a run does not have one."""

    sides: tuple[Side, ...]
    verdicts: tuple[Verdict, ...]
    settings: tuple[tuple[str, tuple[str, ...]], ...]
    equal_settings: int


def compare(folders: Sequence[Path]) -> Comparison:
    """Everything about these runs. Raises DataError for fewer than two, too many, or the same one twice."""
    places = [folder.resolve() for folder in folders]
    if not 2 <= len(places) <= MOST_RUNS:
        raise DataError(f"{len(places)} runs were given; 2 to {MOST_RUNS} can be compared side by side")
    if len(set(places)) < len(places):
        raise DataError(f"{max(places, key=places.count)} was given twice; each run once")
    names = short_names(places)
    sides = tuple(side(name, gather(folder)) for name, folder in zip(names, folders, strict=True))
    differ, equal = settings_that_differ([each.run for each in sides])
    return Comparison(sides, verdicts(sides), differ, equal)


def side(name: str, run: RunFacts) -> Side:
    """One run's part."""
    rows, lacks = timeline(run, run.only_stage or "finetune")
    critic, why = _critic(run)
    halves = np.array_split(np.array([row.human_share for row in rows]), 2)
    person = tuple(float(half.mean()) if len(half) else 0.0 for half in halves)
    return Side(
        name,
        run,
        rows,
        end(run),
        rows[-1].end_min if rows else 0.0,
        sum(row.line.n_steps for row in rows),
        (person[0], person[1]),
        sum(row.takeovers for row in rows) / len(rows) if rows else 0.0,
        critic,
        tuple(text for text in (lacks, why) if text),
    )


def end(run: RunFacts) -> End:
    """The last evaluation there is, else the latest episodes of the policy that learned."""
    after = run.stages["evaluate_finetuned"].episodes
    if after:
        return _end(after, "evaluation at the end")
    episodes = run.stages[run.only_stage or "finetune"].episodes
    block: list[EpisodeLine] = []
    for line in reversed(episodes):
        if line.mode != Mode.EVAL.value and block:
            break
        block += [line] if line.mode == Mode.EVAL.value else []
    if block:
        return _end(block, "latest evaluation")
    learned = [line for line in episodes if line.mode in (Mode.ONLINE.value, Mode.DEMO.value)][-LATEST:]
    return _end(learned, "latest training episodes") if learned else End(None, "nothing was run", {})


def _end(episodes: Sequence[EpisodeLine], what: str) -> End:
    whole = [e for e in episodes if not e.is_discarded and e.outcome != Outcome.INCOMPLETE.value]
    return End(rate(whole), what, {e.seed: e.is_success for e in whole})


def verdicts(sides: Sequence[Side]) -> tuple[Verdict, ...]:
    """Every other run against the first: on the same scenes by McNemar's exact test, else by Fisher's."""
    first, *others = sides
    found = [_verdict(first, other) for other in others]
    tested = [k for k, verdict in enumerate(found) if not math.isnan(verdict.p_value)]
    for k, p in zip(tested, holm([found[k].p_value for k in tested]), strict=True):
        test = found[k].test + (", Holm-adjusted" if len(tested) > 1 else "")
        found[k] = found[k]._replace(p_value=p, test=test)
    return tuple(found)


def _verdict(first: Side, other: Side) -> Verdict:
    a, b = first.end.rate, other.end.rate
    if a is None or b is None:
        return Verdict(other.name, math.nan, "not to be told: one of the two has no episode", math.nan)
    difference = b.successes / b.n - a.successes / a.n
    same = paired(first.end.scenes, other.end.scenes)
    if same.n == a.n == b.n and first.end.what == other.end.what:
        return Verdict(other.name, difference, f"McNemar's exact test on {same.n} shared scenes", same.p_value)
    p = unpaired(a.successes, a.n, b.successes, b.n)
    return Verdict(other.name, difference, "Fisher's exact test, different scenes", p)


def settings_that_differ(runs: Sequence[RunFacts]) -> tuple[tuple[tuple[str, tuple[str, ...]], ...], int]:
    """Settings, learner's algorithm and versions that are not the same in all runs; and how many are."""
    told = [_settings(run) for run in runs]
    names = sorted({name for facts in told for name in facts})
    rows = [(name, tuple(facts.get(name, "–") for facts in told)) for name in names]
    differ = tuple((name, cells) for name, cells in rows if len(set(cells)) > 1)
    return differ, len(rows) - len(differ)


def _settings(run: RunFacts) -> dict[str, str]:
    """Dotted names with their values, wherever a run of this kind keeps them."""
    inner = run.settings.get("settings")
    own: Mapping[str, Any] = inner if isinstance(inner, dict) else run.settings
    config = run.checkpoints.get("finetune", {}).get("config")
    parts = {"": own, "algorithm.": config, "version.": run.summary.get("versions")}
    found = {
        f"{prefix}{name}": exactly(value)
        for prefix, part in parts.items()
        if isinstance(part, dict)
        for name, value in flat(part)
        if name not in UNTOLD
    }
    revision = run.summary.get("git_revision")
    return found | ({"version.git": str(revision)[:12]} if revision else {})


def _critic(run: RunFacts) -> tuple[Critic | None, str]:
    if run.only_stage not in ("", "finetune"):
        return None, ""
    checkpoint, stage, latest = evaluated_by(run)
    try:
        found = values(run.store(stage), run.checkpoint(checkpoint), latest=latest).calibration()
    except (O2OError, OSError) as problem:
        return None, str(problem)
    return (Critic(found.slope, found.spearman, found.gap), "") if found.n else (None, "no step was valued")


def short_names(places: Sequence[Path]) -> list[str]:
    """The folders' own names, with as many parents as tell them apart."""
    for depth in range(1, max(len(place.parts) for place in places) + 1):
        names = ["/".join(place.parts[-depth:]) for place in places]
        if len(set(names)) == len(names):
            return names
    return [str(place) for place in places]
