"""A recording as a source: which contract fits, what range its commands have, and its episodes."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.config import fingerprint
from o2o_robot.data.action_range import ActionRange
from o2o_robot.data.bag import Bag
from o2o_robot.data.bags.mcap_file import Message
from o2o_robot.data.contract import Contract, choose_contract, resolve
from o2o_robot.data.ingest.assemble import Assembled, Label, assemble, command_values
from o2o_robot.data.ingest.job import Job, Look, Request, Tell
from o2o_robot.data.ingest.joint_names import speaks_of
from o2o_robot.data.ingest.origin import Origin
from o2o_robot.data.ingest.report import SourceReport
from o2o_robot.data.ingest.scenes import scenes, with_scene
from o2o_robot.data.ingest.streams import Recording
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError

_EDGE_BYTES = 1 << 16
_TELL_BYTES = 4 << 20


def _silent(n_bytes: int) -> None:
    return


class Fitted(NamedTuple):
    """A bag with its contract, which has the request's wishes, and contract topic -> topic of the bag."""

    bag: Bag
    contract: Contract
    names: dict[str, str]


@dataclass(frozen=True)
class BagSource:
    """One recording."""

    path: Path
    request: Request

    def look(self, ranged: Container[str]) -> Look:
        """See job.Source. Raises DataError where no contract fits, or nothing was recorded."""
        bag, contract, names = fit(Bag.open(self.path), self.request)
        is_scaled = contract.action.kind != "executed" and not contract.action.low
        seen = Look(str(self.path), "bag", bag_fingerprint(bag), contract.name, bag.n_bytes, is_scaled=is_scaled)
        if not is_scaled or contract.name in ranged:
            return seen
        try:
            recording = Recording.load(bag, names.values())
            values = command_values(recording, contract, names).astype(np.float64)
        except DataError:  # ingesting it says why, and counts what it holds
            return seen
        low, high = (tuple(float(v) for v in side) for side in (values.min(axis=0), values.max(axis=0)))
        return dataclasses.replace(seen, low=low, high=high)

    def ingest(self, job: Job, sink: EpisodeStore, report: SourceReport, tell: Tell) -> None:
        """See job.Source."""
        bag, contract, names = fit(Bag.open(self.path), self.request)
        heard = _HeardBag(bag.path, bag.files, bag.distro, bag.definitions, tell)
        recording = Recording.load(heard, names.values())
        try:
            made = self._assemble(recording, contract, names, job, sink.path)
            report.notes, report.left_out = list(made.notes), list(made.left_out)
            report.faults = [_facts(fault) for fault in made.faults]
            drawn = scenes(bag)
            told = made._replace(episodes=[with_scene(episode, drawn) for episode in made.episodes])
            self._append(told, contract, job, sink, report)
        finally:
            report.topics = recording.counts() if report.episodes else _all_dropped(recording)

    def _assemble(
        self, recording: Recording, contract: Contract, names: dict[str, str], job: Job, scratch: Path
    ) -> Assembled:
        if job.problem:
            raise DataError(job.problem)
        if job.look.is_scaled and not job.low:
            command_values(recording, contract, names)  # which says why no range could be found
        action_range = job.action_range
        if contract.action.low and contract.action.kind != "executed":
            action_range = ActionRange(np.array(contract.action.low), np.array(contract.action.high))
        label = Label(Path(self.path.name.removesuffix(".zstd")).stem, self.request.outcome, self.request.task)
        return assemble(recording, contract, names, label, action_range, scratch)

    def _append(self, made: Assembled, contract: Contract, job: Job, sink: EpisodeStore, report: SourceReport) -> None:
        origin = Origin(self.path.name, job.look.fingerprint, contract.name, fingerprint(contract))
        for number, episode in enumerate(made.episodes):
            if number not in job.skip:
                sink.append(origin.stamped(episode, number, of=len(made.episodes), created_at=self.request.created_at))
            report.episodes.append(episode.meta["id"])
            report.n_steps += len(episode)


def fit(bag: Bag, request: Request) -> Fitted:
    """The request's contract, or the shipped one that fits this bag. Raises DataError where none does."""
    topics = bag.topics()
    if next(iter(bag.messages(())), None) is None:
        raise DataError(f"the recording is empty: no message on any of its {len(topics)} topics")
    contract = request.contract or choose_contract(topics, lambda: speaks_of(bag))
    names = resolve(contract, topics)
    if request.hz is not None:
        contract = dataclasses.replace(contract, rate_hz=request.hz)
    if request.image_side is not None:
        images = {name: dataclasses.replace(each, side=request.image_side) for name, each in contract.images.items()}
        contract = dataclasses.replace(contract, images=images)
    return Fitted(bag.defined_by(contract.definitions), contract, names)


def bag_fingerprint(bag: Bag) -> str:
    """The same for the same recording wherever it lies: sizes and both ends of every file."""
    total = hashlib.sha256()
    for file in bag.files:
        size = file.stat().st_size
        with file.open("rb") as stream:
            total.update(f"{size};".encode() + stream.read(_EDGE_BYTES))
            stream.seek(max(0, size - _EDGE_BYTES))
            total.update(stream.read(_EDGE_BYTES))
    return total.hexdigest()[:32]


@dataclass(frozen=True)
class _HeardBag(Bag):
    """A bag that tells how much of it was read, roughly: message by message, each pass again."""

    tell: Tell = _silent

    def messages(self, wanted: Container[str]) -> Iterator[Message]:
        n_bytes = 0
        for message in super().messages(wanted):
            n_bytes += len(message.data)
            if n_bytes > _TELL_BYTES:
                self.tell(n_bytes)
                n_bytes = 0
            yield message


def _all_dropped(recording: Recording) -> dict[str, dict[str, Any]]:
    """The counts of a recording of which nothing was stored."""
    counts: dict[str, dict[str, Any]] = recording.counts()
    for count in counts.values():
        n = count["messages"]
        count.update(used=0, superseded=0, out_of_tolerance=0, dropped={"left_out": n} if n else {})
    return counts


def _facts(fault: Any) -> dict[str, Any]:
    facts = fault._asdict() if hasattr(fault, "_asdict") else dataclasses.asdict(fault)
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in facts.items()}
