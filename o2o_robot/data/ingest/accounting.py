"""What became of every message, written down once it is known which episodes were made of a recording."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from o2o_robot.data.align import Ordered
from o2o_robot.data.contract import Contract
from o2o_robot.data.ingest.examine import Epoch
from o2o_robot.data.ingest.plan import Candidate, Plan, reward_topic
from o2o_robot.data.ingest.sections import Run, Section
from o2o_robot.data.ingest.streams import Fate, Recording, Stream
from o2o_robot.types import Array


class Account:
    """The fates of a recording's messages, for one contract. A message ends with the highest of all it is given.

    account = Account(recording, contract, names)
    for candidate in candidates:
        account.span(candidate)
    account.settle(examined.epochs)             # last: what was passed over follows what was not
    """

    def __init__(self, recording: Recording, contract: Contract, names: dict[str, str]) -> None:
        self._streams = {topic: recording.streams[names[topic]] for topic in contract.topics}
        self._contract = contract

    def span(self, found: Candidate) -> None:
        """The messages of a span: of its episodes, of what was cut off, of the whole of it where it was rejected."""
        kept = {id(run) for _, run in found.kept}
        for part in found.sections:
            for topic, line in part.epoch.lines.items():
                self._section(found, kept, part, topic, line)
        for (part, _), plan in zip(found.kept, found.plans, strict=True):
            self.episode(part.epoch, plan)
        if found.outcome >= 0 and found.plans and self._contract.outcome:
            self._streams[self._contract.outcome.topic].mark([found.outcome], Fate.USED)

    def episode(self, epoch: Epoch, plan: Plan) -> None:
        """The messages of an episode that was made."""
        used = {**plan.observed, self._contract.action.topic: plan.action}
        if judge := reward_topic(self._contract):
            used[judge] = np.concatenate([used.get(judge, plan.reward[:0]), plan.reward[plan.reward >= 0]])
        for topic, line in epoch.lines.items():
            index = used.get(topic, np.zeros(0, np.int64))
            self._range(topic, line, index, plan.tick_ns, Fate.SUPERSEDED)
            self._streams[topic].mark(index, Fate.USED)

    def rejected(self, epoch: Epoch, first_ns: int, last_ns: int) -> None:
        """The messages of a recorded episode that is not whole."""
        for topic, line in epoch.lines.items():
            self._range(topic, line, line.position[:0], np.array([first_ns, last_ns]), Fate.REJECTED)

    def settle(self, epochs: Iterable[Epoch]) -> None:
        """Messages that were passed over for their stamps: duplicates go the way of the one that stayed."""
        for epoch in epochs:
            for topic, line in epoch.lines.items():
                stream = self._streams[topic]
                stream.mark(line.backward, Fate.BACKWARD_STAMP)
                twin = line.position[np.searchsorted(line.stamp_ns, stream.stamp_ns[line.duplicate])]
                stream.fate[line.duplicate] = _of_duplicates(stream, line.duplicate, twin)

    def _section(self, found: Candidate, kept: set[int], part: Section, topic: str, line: Ordered) -> None:
        match = part.matches.get(topic)
        position = match.position if match else line.position[:0]
        if found.is_rejected:
            self._range(topic, line, position, part.tick_ns, Fate.REJECTED)
            return
        self._range(topic, line, position, part.tick_ns, _fate_of_rest(found, part))
        for i, run in enumerate(part.runs):
            if id(run) not in kept:
                at = position[run.tick] if match else position
                self._range(topic, line, at, part.tick_ns[run.tick], _fate_of_run(part.runs, i))
        if self._contract.faults.frozen == "cut":
            for spell in (each for each in part.spells if each.fault.kind == "frozen"):
                self._range(topic, line, line.position[:0], np.array(spell[1:]), Fate.CUT_BY_FAULT)
        if match:
            stale = match.position[~match.fresh]
            self._streams[topic].mark(stale[stale >= 0], Fate.OUT_OF_TOLERANCE)

    def _range(self, topic: str, line: Ordered, index: Array, tick_ns: Array, fate: Fate) -> None:
        """Messages from the first of those matched (index), or the first tick, to the last tick."""
        stream = self._streams[topic]
        matched = index[index >= 0]
        first_ns = min(int(stream.stamp_ns[matched].min()), int(tick_ns[0])) if len(matched) else tick_ns[0]
        first, last = np.searchsorted(line.stamp_ns, first_ns), np.searchsorted(line.stamp_ns, tick_ns[-1], "right")
        stream.mark(line.position[first:last], fate)


def _fate_of_rest(found: Candidate, part: Section) -> Fate:
    """Of what lies between the runs of a section, or beside them: by a fault where all of the section was cut off."""
    is_cut_off = len(found.sections) > 1 and not any(kept is part for kept, _ in found.kept)
    return Fate.CUT_BY_FAULT if is_cut_off else Fate.CUT_BY_GAP


def _fate_of_run(runs: list[Run], i: int) -> Fate:
    """Of a run that gives no episode: by what parts it from its neighbours."""
    causes = {runs[i].after, *(run.after for run in runs[i + 1 : i + 2])}
    return Fate.CUT_BY_FAULT if causes - {None, "gap"} else Fate.CUT_BY_GAP


def _of_duplicates(stream: Stream, duplicate: Array, twin: Array) -> Array:
    fate = stream.fate[twin]
    fate = np.where(fate == Fate.USED, np.uint8(Fate.SUPERSEDED), fate)
    return np.maximum(fate, stream.fate[duplicate])
