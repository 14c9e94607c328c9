"""Work on a source as plain facts, that another process or another machine can do: what was asked, seen and to be done.

A source is looked at first (which contract, how much, what range its commands have), so that one action range can be
settled for all, and then ingested job by job.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from o2o_robot.data.action_range import ActionRange
from o2o_robot.data.contract import Contract
from o2o_robot.data.ingest.report import SourceReport
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError
from o2o_robot.types import Outcome

EPISODES_PER_JOB = 16  # of a dataset: what a worker that dies may cost
Tell = Callable[[int], None]


@dataclass(frozen=True)
class Request:
    """What the command line asked, the same for every source. created_at: when, ISO 8601, for the provenance."""

    contract: Contract | None = None
    outcome: Outcome | None = None
    hz: float | None = None
    image_side: int | None = None
    task: str = ""
    cameras: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    created_at: str = ""


@dataclass(frozen=True)
class Look:
    """What is known of a source before any of it is stored. problem: why it cannot be ingested, '' where it can.

    n_episodes: those a dataset claims, 1 for a recording. is_scaled: its commands need an action range, and low, high
    are theirs (k,), empty where the store has one already or no command could be read.
    """

    path: str
    kind: str = "bag"
    fingerprint: str = ""
    contract: str = ""
    n_bytes: int = 0
    n_episodes: int = 1
    is_scaled: bool = False
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Job:
    """A source, or n episodes of a dataset from `first` on, to be made into episodes by one process.

    low, high: the action range to use, empty where none is needed. skip: numbers of its episodes that are stored.
    problem: why none of it may be stored; it is then only counted.
    """

    look: Look
    first: int = 0
    n: int = 1
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    skip: tuple[int, ...] = ()
    problem: str = ""

    @property
    def action_range(self) -> ActionRange | None:
        return ActionRange(np.array(self.low), np.array(self.high)) if self.low else None


class Source(Protocol):
    """A recording or a dataset, opened for a request."""

    def look(self, ranged: Container[str]) -> Look:
        """What it holds. ranged: contracts that have an action range already. Raises DataError."""
        ...

    def ingest(self, job: Job, sink: EpisodeStore, report: SourceReport, tell: Tell) -> None:
        """Append its episodes to `sink`, filling in the report; tell(n) says that n more bytes were read."""
        ...


def jobs_of(
    look: Look, low: tuple[float, ...], high: tuple[float, ...], *, skip: tuple[int, ...], problem: str
) -> list[Job]:
    """The jobs of a source: one of a recording, one for every EPISODES_PER_JOB of a dataset with something to do."""
    each = EPISODES_PER_JOB if look.kind != "bag" else 1
    parts = [(first, min(each, look.n_episodes - first)) for first in range(0, look.n_episodes, each)]
    if look.kind != "bag":
        parts = [(first, n) for first, n in parts if not set(range(first, first + n)) <= set(skip)]
    return [Job(look, first, n, low, high, skip, problem) for first, n in parts]


def reason_of(problem: Exception) -> str:
    """The problem in one line."""
    if isinstance(problem, DataError):
        return str(problem)
    if isinstance(problem, MemoryError):
        return "it needs more memory than there is; split it, or give it fewer workers beside it"
    return f"unexpected {type(problem).__name__}: {problem}"
