"""What an ingest will do: one action range a contract, a job for what is not stored yet, a report for every source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.data.action_range import covering
from o2o_robot.data.archive.zarr_v3 import read_attributes
from o2o_robot.data.ingest.job import Job, Look, jobs_of
from o2o_robot.data.ingest.origin import Stored, stored_sources
from o2o_robot.data.ingest.report import SourceReport, joined
from o2o_robot.data.store import EpisodeStore


class Settled(NamedTuple):
    """The action range of a contract as plain numbers (k,); problem: why there is none, '' where none is needed."""

    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    problem: str = ""


class Step(NamedTuple):
    """What is to be done with a source: its jobs, or the report that stands already, or it is a copy of another one."""

    jobs: list[Job]
    report: SourceReport | None = None
    copy_of: int | None = None


@dataclass(frozen=True)
class Plan:
    """A step for every source, in order."""

    steps: list[Step]

    @property
    def jobs(self) -> list[Job]:
        """Every job, in order of the sources."""
        return [job for step in self.steps for job in step.jobs]

    def reports(self, done: Iterator[SourceReport]) -> Iterator[SourceReport]:
        """One report a source, in order, from the reports of the jobs as they come in."""
        said: list[SourceReport] = []
        for step in self.steps:
            if step.copy_of is not None and step.report is not None:
                said.append(_as_copy(step.report, said[step.copy_of]))
            else:
                said.append(step.report or joined([next(done) for _ in step.jobs]))
            yield said[-1]


def plan_of(seen: list[Look], store: EpisodeStore, ranged: Mapping[str, Settled]) -> Plan:
    """The steps for these sources, given what the store holds and the ranges it has."""
    stored = stored_sources(_metas(store))
    ranges = {**settle(seen), **ranged}
    first: dict[str, int] = {}
    steps = []
    for i, look in enumerate(seen):
        steps.append(_step(look, stored.get(look.fingerprint), ranges.get(look.contract), first.get(look.fingerprint)))
        first.setdefault(look.fingerprint, i)
    return Plan(steps)


def ranged_contracts(store: EpisodeStore) -> dict[str, Settled]:
    """Contract -> the action range of its episodes in the store: one motion is the same action in all of them."""
    found: dict[str, Settled] = {}
    for meta in map(store.meta, range(len(store))):
        if "action_low" in meta and meta.get("contract"):
            found.setdefault(meta["contract"], Settled(tuple(meta["action_low"]), tuple(meta["action_high"])))
    return found


def settle(seen: list[Look]) -> dict[str, Settled]:
    """Contract -> the range that covers the commands of all its sources; a problem where these differ in number."""
    sides: dict[str, list[tuple[float, ...]]] = {}
    for look in seen:
        if look.is_scaled and look.low:
            sides.setdefault(look.contract, []).extend([look.low, look.high])
    return {contract: _covering(contract, rows) for contract, rows in sides.items()}


def _covering(contract: str, rows: list[tuple[float, ...]]) -> Settled:
    sizes = sorted({len(row) for row in rows})
    if len(sizes) > 1:
        return Settled(problem=f"contract '{contract}': commands hold {sizes} values; ingest them apart")
    low, high = covering(np.array(rows))
    return Settled(tuple(float(v) for v in low), tuple(float(v) for v in high))


def _metas(store: EpisodeStore) -> Iterator[dict[str, Any]]:
    """Of every episode, and of those that were deleted and are still on disk: a source must not bring them back."""
    yield from map(store.meta, range(len(store)))
    for number in store.deleted:
        marker = read_attributes(store.path / "episodes" / number) or {}
        yield marker.get("meta", {})


def _step(look: Look, stored: Stored | None, settled: Settled | None, earlier: int | None) -> Step:
    report = SourceReport(look.path, look.kind, reason=look.problem, contract=look.contract)
    if look.problem:
        return Step([], report)
    if stored and stored.is_whole:
        report.status = "in store"
        return Step([], report)
    if earlier is not None:
        return Step([], report, copy_of=earlier)
    settled = settled if settled and look.is_scaled else Settled()
    skip = tuple(sorted(stored.numbers)) if stored else ()
    return Step(jobs_of(look, settled.low, settled.high, skip=skip, problem=settled.problem))


def _as_copy(report: SourceReport, original: SourceReport) -> SourceReport:
    report.status = "in store" if original.is_complete else "left out"
    report.reason = f"the same as {original.bag}"
    return report
