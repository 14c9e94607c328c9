"""Whether every step and every episode is accounted for: published, stored, learned from, or discarded and why."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from o2o_robot.report.gather import RunFacts, Stage
from o2o_robot.report.sections import number, words


class Account(NamedTuple):
    """A stage's row. steps_*: None where nobody counted. agrees: what must be equal is; why: what is not, or why."""

    stage: str
    steps_published: int | None
    steps_stored: int | None
    steps_learned: int | None
    episodes: int
    episodes_stored: int | None
    discarded: str
    agrees: bool
    why: str


def accounts(run: RunFacts) -> tuple[Account, ...]:
    """A row a stage that has run."""
    return tuple(_account(stage) for stage in run.stages.values() if stage.has_run)


def _account(stage: Stage) -> Account:
    published = _first(stage, "steps_published", "policy_node", "teleop_node")
    stored = _first(stage, "steps_stored", "recorder_node")
    learned = _first(stage, "steps_received", "learner_node")
    kept = _first(stage, "episodes_stored", "recorder_node")
    why = _discarded(stage)
    troubles = _differences(stage, published, stored, learned)
    return Account(
        words(stage.name) if stage.folder.name == stage.name else "this run",
        published,
        stored,
        learned,
        len(stage.episodes),
        kept,
        why,
        not troubles,
        "; ".join(troubles),
    )


def _differences(stage: Stage, published: int | None, stored: int | None, learned: int | None) -> list[str]:
    """What does not add up. Steps of discarded episodes are learned from and are not in the store."""
    lost = sum(e.n_steps for e in stage.episodes if e.is_discarded or e.outcome == "incomplete")
    refused = _first(stage, "steps_refused", "learner_node") or 0
    found = []
    bags = _first(stage, "bags_written", "recorder_node") or 0
    if published is not None and stored is not None and not bags and not published - lost <= stored <= published:
        found.append(f"{number(published - stored)} steps were published and not stored")
    if published is not None and learned is not None and published > learned:
        found.append(f"{number(published - learned)} steps did not reach the learner")
    return [*found, *([f"the learner refused {refused}"] if refused else [])]


def _discarded(stage: Stage) -> str:
    """Episodes that are not kept as whole, by reason: what recorder_node and the session say."""
    told = stage.fact("recorder_node", "episodes_discarded", {})
    counts: Counter[str] = Counter()
    if isinstance(told, dict):
        for why, n in told.items():
            counts[str(why)] += n if isinstance(n, int) and not isinstance(n, bool) else 1
    if not counts:
        counts.update(
            f"{e.outcome}{f' ({words(e.termination)})' if e.termination else ''}"
            for e in stage.episodes
            if e.is_discarded or e.outcome == "incomplete"
        )
    return ", ".join(f"{n} {why}" for why, n in counts.most_common()) or "none"


def _first(stage: Stage, name: str, *nodes: str) -> int | None:
    """The first of these nodes' counts that is there."""
    for node in nodes:
        value = stage.fact(node, name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None
