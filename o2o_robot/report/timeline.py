"""What each episode of a stage was like, in order: who moved the arm, what the guard changed, when it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import O2OError
from o2o_robot.report.gather import EpisodeLine, RunFacts
from o2o_robot.safety import reason
from o2o_robot.types import Array, Source


class Row(NamedTuple):
    """One episode. human_share of its steps, takeovers: how often a person took the arm over, reasons: name -> steps.

    is_stored: whether the store has it; where not, who moved the arm and why the guard spoke are unknown.
    """

    line: EpisodeLine
    begin_min: float
    end_min: float
    human_share: float = 0.0
    takeovers: int = 0
    reasons: Mapping[str, int] = {}
    is_stored: bool = False


class Stretch(NamedTuple):
    """Episodes of one mode in a row: rows [first, last]."""

    mode: str
    first: int
    last: int


def timeline(run: RunFacts, stage: str) -> tuple[tuple[Row, ...], str]:
    """A row an episode of the stage that was not discarded, and why the store could not be asked ("" where it was)."""
    found = run.stages[stage]
    ends = found.end_min
    begins = (0.0, *ends)[: len(ends)]  # none of no episodes
    marks, lacks = _marks(run, stage)
    rows = [
        Row(line, begin, end, *marks.get(line.id, ()))
        for line, begin, end in zip(found.episodes, begins, ends, strict=True)
        if not line.is_discarded
    ]
    return tuple(rows), lacks


def stretches(rows: Sequence[Row]) -> tuple[Stretch, ...]:
    """The rows parted where the mode changes: phases and evaluation blocks."""
    starts = [i for i, row in enumerate(rows) if i == 0 or row.line.mode != rows[i - 1].line.mode]
    return tuple(
        Stretch(rows[a].line.mode, a, b - 1) for a, b in zip(starts, [*starts, len(rows)][1:], strict=True) if b > a
    )


def human_share(source: Array) -> float:
    """Share of steps that a person moved, for source (T,)."""
    return float(np.mean(np.asarray(source) == Source.TELEOP)) if len(source) else 0.0


def takeovers(source: Array) -> int:
    """How often a person took the arm over, for source (T,): runs of human steps."""
    human = np.concatenate([[False], np.asarray(source) == Source.TELEOP])
    return int(np.count_nonzero(human[1:] & ~human[:-1]))


def reason_counts(bits: Array) -> dict[str, int]:
    """Steps that the guard changed, by reason, for reasons (T,) uint32; a step may have several."""
    counts: dict[str, int] = {}
    for value, n in zip(*np.unique(bits[bits != 0], return_counts=True), strict=True):
        for name in reason.names(int(value)):
            counts[name] = counts.get(name, 0) + int(n)
    return counts


def _marks(run: RunFacts, stage: str) -> tuple[dict[str, tuple[float, int, dict[str, int], bool]], str]:
    """What the store knows of each episode, by id. Reads two small arrays an episode, no image."""
    try:
        with EpisodeStore.open(run.store(stage)) as store:
            ids = [str(store.meta(i).get("id", i)) for i in range(len(store))]
            both = zip(ids, store.field("source"), store.field("reasons"), strict=True)
            return {id_: (human_share(s), takeovers(s), reason_counts(r), True) for id_, s, r in both}, ""
    except (O2OError, OSError) as problem:
        return {}, str(problem)
