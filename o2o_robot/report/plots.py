"""The report's figures with their captions: takes from a run what each needs, and says so where it is not there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from o2o_robot.data.store import EpisodeStore
from o2o_robot.diagnostics.calibration import by_group
from o2o_robot.errors import O2OError
from o2o_robot.report import figures
from o2o_robot.report.filmstrip import GAP_PX, Pick, choose, filmstrip
from o2o_robot.report.gather import Facts, RunFacts
from o2o_robot.report.sections import percent, words
from o2o_robot.report.values import Values, values
from o2o_robot.types import Array, Episode

CHECKPOINTS = {
    "before: pretrained": ("pretrain", "evaluate_pretrained"),
    "after: fine-tuned": ("finetune", "evaluate_finetuned"),
}


LATEST = 30  # episodes of training that a learner's own critic is asked about


class Plot(NamedTuple):
    """A figure as PNG, named as its file; lacks: why there is none. is_photo: a dark page leaves it as it is."""

    name: str
    caption: str
    png: bytes = b""
    lacks: str = ""
    is_photo: bool = False


class ValueRow(NamedTuple):
    """A row of the table under the reliability figure."""

    checkpoint: str
    transitions: str
    n: int
    slope: str
    spearman: str
    calibrated: str
    gap: str


def reliability(run: RunFacts) -> tuple[Plot, tuple[ValueRow, ...]]:
    """The figure, and its numbers for all transitions and for those whose return is exact."""
    found, lacks = {}, []
    for title, (checkpoint, stage) in _checkpoints(run).items():
        if not run.stages[stage].has_run:
            lacks.append(f"{words(stage)} has not run")
            continue
        try:
            latest = LATEST if stage == "finetune" else None
            found[title] = values(run.store(stage), run.checkpoint(checkpoint), latest=latest)
        except O2OError as problem:
            lacks.append(f"{title}: {problem}")
    found = {title: v for title, v in found.items() if len(v.q_data)}
    caption = (
        "The critics' minimum at what was executed, against the discounted return that followed, on each policy's own "
        "episodes. On the dashed line the critic is right; below it, it promised too much. Hollow points "
        "belong to episodes cut by the time limit: nobody saw their future, their last reward stands for it for ever."
    )
    if not found:
        return Plot("reliability", caption, lacks="; ".join(lacks)), ()
    panels = {title: (v, v.calibration()) for title, v in found.items()}
    plot = Plot("reliability", caption, figures.png(figures.reliability(panels)), "; ".join(lacks))
    return plot, tuple(row for title, v in found.items() for row in _value_rows(title, v))


def _checkpoints(run: RunFacts) -> dict[str, tuple[str, str]]:
    """Which critic is asked about which episodes: of the demo both ends, of one graph what it has."""
    if run.only_stage == "finetune":
        return {f"the learner's critic on its latest {LATEST} episodes": ("finetune", "finetune")}
    return {"the policy that was evaluated": ("pretrain", run.only_stage)} if run.only_stage else CHECKPOINTS


def evaluated_by(run: RunFacts) -> tuple[str, str, int | None]:
    """Checkpoint, stage and latest episodes of the final critic: how `values` is asked about the end of a run."""
    if run.only_stage or not run.stages["evaluate_finetuned"].episodes:
        return "finetune", "finetune", LATEST
    return "finetune", "evaluate_finetuned", None


def guard(run: RunFacts) -> Plot:
    ran = {name: stage for name, stage in run.stages.items() if stage.has_run}
    reasons = {words(name): _counts(stage.fact("arm_node", "reasons")) for name, stage in ran.items()}
    changed = {words(n): (sum(e.steps_changed for e in s.episodes), s.n_steps) for n, s in ran.items() if s.episodes}
    distances, lacks = {}, []
    for name in ran:
        try:
            distances[words(name)] = _changes(run, name)
        except O2OError as problem:
            lacks.append(f"{words(name)}: {problem}")
    caption = (
        "Every motion passes the guard; what it let through is what was stored and learned from. Left: changed "
        "commands by reason (a command may have several). Middle: share of steps changed. Right: by how much, of the "
        "steps that were changed. Look for a policy that leans on the guard: a share that does not fall as it learns."
    )
    if not changed and not any(len(d) for d in distances.values()) and not any(reasons.values()):
        return Plot("guard", caption, lacks="; ".join(lacks) or "no stage has run")
    return Plot("guard", caption, figures.png(figures.guard(reasons, changed, distances)), "; ".join(lacks))


def training(run: RunFacts) -> Plot:
    caption = (
        "Every logged update: offline, then online after the dashed line, with the same networks and optimisers. "
        "Values are means over a batch, and at the dashed line the batch changes from demonstrations to the policy's "
        "own steps: Q may step down there although no weight did. Look for a TD loss that stays low after it, and for "
        "Q rising with success. The conservative gap is Cal-QL's and ends offline."
    )
    offline = _placed(run.offline_metrics, "step")
    online = _placed(run.online_metrics, "update")
    if not offline and not online:
        return Plot("training", caption, lacks="no metrics of pretraining or fine-tuning")
    return Plot("training", caption, figures.png(figures.training(offline, online)))


def _placed(lines: Sequence[Facts], key: str) -> list[Facts]:
    """The numbers of those lines that say where on the axis they belong."""
    numbers = (_numbers(line) for line in lines)
    return [each for each in numbers if math.isfinite(each.get(key, math.nan))]


def filmstrips(run: RunFacts) -> tuple[Plot, ...]:
    """A success and a failure of each policy, as its cameras saw them."""
    names = ("evaluate_pretrained", "evaluate_finetuned")
    picks = choose(*(run.stages[name].episodes for name in names))
    plots = []
    for name, title, chosen in zip(names, CHECKPOINTS, picks, strict=True):
        plots += [_strip(run, name, title, pick) for pick in chosen]
        if len(chosen) == 1:
            plots.append(
                Plot(f"{name}_other", f"{title[0].upper()}{title[1:]}: every episode was a {chosen[0].outcome}.")
            )
    return tuple(plots)


def attempt(name: str, make: Callable[[], Plot]) -> Plot:
    """The plot, or one that says what kept it from being made."""
    try:
        return make()
    except O2OError as problem:
        return Plot(name, "", lacks=str(problem))


def _strip(run: RunFacts, stage: str, title: str, pick: Pick) -> Plot:
    name = f"{stage}_{pick.outcome}"

    def make() -> Plot:
        episode = _episode(run, stage, pick.id)
        if episode is None or not episode.images:
            return Plot(name, "", lacks=f"{stage}: the store does not hold images of episode {pick.id}")
        film = filmstrip(episode)
        figure = figures.strip(
            film.sheet, times_s=film.times_s, cameras=film.cameras, side_px=film.side_px, gap_px=GAP_PX
        )
        return Plot(name, f"{title[0].upper()}{title[1:]}, {pick.words}.", figures.png(figure), is_photo=True)

    return attempt(name, make)


def _episode(run: RunFacts, stage: str, id_: str) -> Episode | None:
    with EpisodeStore.open(run.store(stage)) as store:
        return next((store.read(i) for i in range(len(store)) if store.meta(i).get("id") == id_), None)


def _changes(run: RunFacts, stage: str) -> Array:
    """|executed - proposed| of every step of the stage that the guard changed, (N,)."""
    parts = [np.zeros(0)]
    with EpisodeStore.open(run.store(stage)) as store:
        for episode in store.episodes():
            far = np.linalg.norm(episode.action - episode.proposed, axis=1)
            parts.append(far[episode.reasons != 0])
    return np.concatenate(parts)


def _value_rows(title: str, found: Values) -> list[ValueRow]:
    parts = by_group(found.q_policy, found.q_data, found.mc_return, found.is_exact)
    named = (("all", "all"), ("True", "task ended (return exact)"), ("False", "cut by the time limit"))
    return [
        ValueRow(
            title,
            text,
            part.n,
            _two_decimals(part.slope),
            _two_decimals(part.spearman),
            percent(part.calibrated),
            f"{part.gap:+.2f}",
        )
        for key, text in named
        if (part := parts.get(key)) and (key == "all" or part.n < parts["all"].n)
    ]


def _counts(value: object) -> Mapping[str, int]:
    if not isinstance(value, dict):
        return {}
    return {str(name): count for name, count in value.items() if isinstance(count, int)}


def _numbers(line: Facts) -> Facts:
    return {name: value for name, value in line.items() if isinstance(value, (int, float))}


def _two_decimals(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "–"
