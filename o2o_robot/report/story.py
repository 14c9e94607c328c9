"""The story of the session: success, the person's part, the guard's, the watch over the policy, by robot minutes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from o2o_robot.report import story_figures as draw
from o2o_robot.report.figures import png
from o2o_robot.report.gather import Facts, RunFacts
from o2o_robot.report.plots import Plot
from o2o_robot.report.timeline import Row, timeline
from o2o_robot.types import Mode, Outcome

SURE = 0.997  # of never_worse.Rule, where policy_node was told nothing else
LEARNING_MODES = (Mode.WARMUP.value, Mode.ONLINE.value)


class Verdict(NamedTuple):
    """After the episode that ended at at_min: probability that the policy is worse than it came (NaN: undecided)."""

    at_min: float
    p_worse: float


class Watch(NamedTuple):
    """The never-worse watch: its verdicts, when it went back to older weights, and from which probability it does."""

    verdicts: tuple[Verdict, ...] = ()
    went_back_min: tuple[float, ...] = ()
    sure: float = SURE


def story(run: RunFacts) -> Plot:
    """The figure of the stage that has most to tell: fine-tuning, else the only one there is."""
    stage = run.only_stage or "finetune"
    rows, lacks = timeline(run, stage)
    ends = (
        [run.stages[name].episodes for name in ("evaluate_pretrained", "evaluate_finetuned")]
        if not (run.only_stage)
        else [(), ()]
    )
    if not rows and not any(ends):
        return Plot("story", "", lacks="no episode of fine-tuning or evaluation")
    watch = watched(run, rows)
    demos = run.stages["collect"].episodes if stage != "collect" else ()
    figure = draw.story(rows, ends[0], ends[1], watch, demo_rate=_share(demos))
    return Plot("story", _caption(rows, watch), png(figure), lacks)


def watched(run: RunFacts, rows: Sequence[Row]) -> Watch:
    """What policy.jsonl says since the run last began, placed at the episodes that it counted."""
    counted = [r for r in rows if r.line.mode in LEARNING_MODES and r.line.outcome != Outcome.INCOMPLETE.value]
    verdicts: list[Verdict] = []
    went_back: list[float] = []
    for event in _since_it_began(run.policy_events):
        if event.get("event") == "episode" and len(verdicts) < len(counted):
            p = event.get("p_worse")
            is_known = isinstance(p, (int, float)) and not isinstance(p, bool)
            verdicts.append(Verdict(counted[len(verdicts)].end_min, float(p) if is_known else math.nan))  # type: ignore[arg-type]
        elif event.get("event") == "went_back" and verdicts:
            went_back.append(verdicts[-1].at_min)
    told = run.stages["finetune"].parameters.get("policy_node", {}).get("worse_sure", SURE)
    return Watch(tuple(verdicts), tuple(went_back), float(told) if isinstance(told, (int, float)) else SURE)


def _since_it_began(events: Sequence[Facts]) -> Sequence[Facts]:
    begins = [i for i, event in enumerate(events) if event.get("event") == "began"]
    return events[begins[-1] :] if begins else events


def _share(episodes: Sequence) -> float | None:
    return sum(e.is_success for e in episodes) / len(episodes) if episodes else None


def _caption(rows: Sequence[Row], watch: Watch) -> str:
    parts = [
        f"Minutes of episodes on the robot, without resets and pauses. Success of the latest {draw.WINDOW} episodes of "
        "each mode with its 95 % Wilson band; every episode is a tick, green above where it succeeded, red below "
        "where it did not. Diamonds are evaluations by the mean action. Shaded bands are the phases.",
        f"Person: share of steps moved by hand, and takeovers an episode over the latest {draw.SHORT}."
        if draw.has_person(rows)
        else "No person took the arm over.",
        f"Guard: share of steps it changed, by reason, over the latest {draw.SHORT} episodes.",
    ]
    if any(math.isfinite(v.p_worse) for v in watch.verdicts):
        parts.append(
            "Watch: probability that the policy now succeeds less often than the pretrained one; from the dotted line "
            f"on it goes back to older weights, which it did {_times(len(watch.went_back_min))}."
        )
    elif watch.verdicts:
        parts.append("The watch over the policy had too few episodes for any verdict.")
    return " ".join(parts)


def _times(n: int) -> str:
    return {0: "not once", 1: "once", 2: "twice"}.get(n, f"{n} times")
