"""A recording's streams, looked over before an episode is planned: where the clock leaps, and what else is wrong."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from o2o_robot.data.align import Ordered
from o2o_robot.data.contract import Contract, ImageStream, StateField
from o2o_robot.data.ingest import faults
from o2o_robot.data.ingest.faults import Done, Fault, Kind
from o2o_robot.data.ingest.streams import Fate, Recording, Stream
from o2o_robot.errors import DataError
from o2o_robot.types import Array

_SAME_EVENT_NS = 1e9  # a clock that is set leaps for all its streams, each at its next message
_MOST_EVENTS = 200
_LISTED = 100  # of one kind and topic; a damaged stream may have one at every message


class Spell(NamedTuple):
    """Something wrong from first_ns to last_ns inclusive; the same instant twice where a change happens at once."""

    fault: Fault
    first_ns: int
    last_ns: int

    def overlaps(self, tick_ns: Array) -> bool:
        """True where some of it lies between the first and the last of the ticks (N,), N > 0."""
        return bool(self.first_ns <= tick_ns[-1] and self.last_ns >= tick_ns[0])


class Epoch(NamedTuple):
    """Stretch `number` of a recording, over which no clock leaps: its sound messages in order, by contract topic.

    spells: frozen streams and changes of rate, in the time of these stamps.
    """

    number: int
    lines: dict[str, Ordered]
    spells: tuple[Spell, ...] = ()


class _Event(NamedTuple):
    """A clock that was set: when that was first seen, and the leaps it caused."""

    order: int
    receipt_ns: int
    leaps: list[Fault]


class Leap(NamedTuple):
    """A clock that leaps, and the number of the epoch that begins with it."""

    epoch: int
    fault: Fault


class Examined(NamedTuple):
    """The epochs in order of receipt. cuts: contract topic -> the messages of it with which epochs 1, 2, ... begin.

    faults: passed-over messages, which no setting concerns.
    """

    epochs: list[Epoch]
    cuts: dict[str, list[int]]
    leaps: list[Leap]
    faults: list[Fault]

    def epoch_of(self, topic: str, message: int) -> Epoch:
        """The epoch in which a message of a contract topic came."""
        return self.epochs[bisect.bisect_right(self.cuts[topic], message)]


def observed_topics(contract: Contract) -> list[str]:
    """Contract topics of cameras and state, and of motion that stands for an action; the reference stream first."""
    streams: list[ImageStream | StateField] = [*contract.images.values(), *contract.state.values()]
    moved = [contract.action.topic] if contract.action.kind.startswith("delta") else []
    return list(dict.fromkeys([*(stream.topic for stream in streams), *moved]))


def examine(recording: Recording, contract: Contract, names: dict[str, str]) -> Examined:
    """What is wrong with the observed streams and the action. Marks messages whose stamps nothing confirms."""
    watched = dict.fromkeys([*observed_topics(contract), contract.action.topic])
    jump_ns = contract.faults.clock_jump_s * 1e9
    leaps: list[tuple[int, Fault]] = []
    passed_over: list[Fault] = []
    for name in dict.fromkeys(names[topic] for topic in watched):
        stream = recording.streams[name]
        found = faults.clock_leaps(stream.stamp_ns, stream.receipt_ns, jump_ns)
        leaps += [(int(stream.order[i]), _fault("clock_jump", stream, i, _leap(stream, i))) for i in found.start]
        passed_over += _summed("outlier_stamp", stream, found.outlier)
        stream.mark(found.outlier, Fate.OUTLIER_STAMP)
    events = _events(recording, leaps)
    if len(events) > _MOST_EVENTS:
        raise DataError(
            f"the clock of {leaps[0][1].topic} and others jumps {len(events)} times (at most {_MOST_EVENTS}); "
            "its stamps mean nothing, or raise clock_jump_s"
        )
    numbered = [Leap(i, fault) for i, event in enumerate(events, 1) for fault in event.leaps]
    cuts = {topic: _cuts(recording.streams[names[topic]], events, jump_ns) for topic in contract.topics}
    examined = Examined(_epochs(recording, contract, names, cuts), cuts, numbered, passed_over)
    for topic in contract.topics:
        stream, lines = recording.streams[names[topic]], [epoch.lines[topic] for epoch in examined.epochs]
        passed_over += _summed("duplicate_stamp", stream, np.concatenate([line.duplicate for line in lines]))
        passed_over += _summed("backward_stamp", stream, np.concatenate([line.backward for line in lines]))
    return examined._replace(faults=list(dict.fromkeys(passed_over)))


def again(examined: Examined, recording: Recording, contract: Contract, names: dict[str, str]) -> Examined:
    """The same leaps, without the messages that have turned out unreadable since."""
    return examined._replace(epochs=_epochs(recording, contract, names, examined.cuts))


def faults_of(examined: Examined, within: Iterable[Fault]) -> list[Fault]:
    """All faults of a recording, each once: those within episodes as they were dealt with, the rest `outside`."""
    order: tuple[Done, ...] = ("rejected", "cut", "kept")
    told: dict[Fault, Fault] = {}
    for fault in within:
        bare = fault._replace(done="kept")
        if bare not in told or order.index(fault.done) < order.index(told[bare].done):
            told[bare] = fault
    everything = [leap.fault for leap in examined.leaps]
    everything += [spell.fault for epoch in examined.epochs for spell in epoch.spells]
    rest = [fault._replace(done="outside") for fault in everything if fault not in told]
    return [*examined.faults, *told.values(), *dict.fromkeys(rest)]


def listed(found: Iterable[Fault]) -> list[Fault]:
    """The faults, of one kind and topic at most a hundred, the last of which says how many more there were."""
    by_kind: dict[tuple[str, str, Done], list[Fault]] = {}
    for fault in found:
        by_kind.setdefault((fault.kind, fault.topic, fault.done), []).append(fault)
    return [fault for alike in by_kind.values() for fault in _shortened(alike)]


def lines_of(found: Iterable[Fault]) -> list[str]:
    """One line for people for each kind of fault of each topic, in place of a line for each fault."""
    alike: dict[tuple[str, str, Done], list[Fault]] = {}
    for fault in found:
        alike.setdefault((fault.topic, fault.kind, fault.done), []).append(fault)
    return [
        f"{topic}: {kind.replace('_', ' ')}{f' ({len(each)} times)' if len(each) > 1 else ''}, "
        f"{done}; the first at message {each[0].message}: {each[0].detail}"
        for (topic, kind, done), each in alike.items()
    ]


def _shortened(alike: list[Fault]) -> Iterator[Fault]:
    yield from alike[: _LISTED - 1] if len(alike) > _LISTED else alike
    if len(alike) > _LISTED:
        yield alike[_LISTED - 1]._replace(detail=f"the first of {len(alike) - _LISTED + 1} more like the ones before")


def _events(recording: Recording, leaps: list[tuple[int, Fault]]) -> list[_Event]:
    """Leaps by what caused them: those of different streams that come within a second are one."""
    events: list[_Event] = []
    for order, fault in sorted(leaps):
        receipt_ns = int(recording.streams[fault.topic].receipt_ns[fault.message])
        last = events[-1] if events else None
        is_same = last and abs(receipt_ns - last.receipt_ns) < _SAME_EVENT_NS
        if last and is_same and all(fault.topic != other.topic for other in last.leaps):
            last.leaps.append(fault)
        else:
            events.append(_Event(order, receipt_ns, [fault]))
    return events


def _cuts(stream: Stream, events: list[_Event], jump_ns: float) -> list[int]:
    """With which message of the stream each epoch begins: where it leaps itself, else by order of receipt."""
    candidates = faults.leap_candidates(stream.stamp_ns, stream.receipt_ns, jump_ns) if events else ()
    cuts: list[int] = []
    for event in events:
        own = [fault.message for fault in event.leaps if fault.topic == stream.topic]
        # too few messages to confirm a leap by themselves: an event, a command now and then
        own += [int(i) for i in candidates if abs(stream.receipt_ns[i] - event.receipt_ns) < _SAME_EVENT_NS]
        at = own[0] if own else int(np.searchsorted(stream.order, event.order))
        cuts.append(max([at, *cuts[-1:]]))
    return cuts


def _epochs(recording: Recording, contract: Contract, names: dict[str, str], cuts: dict[str, list[int]]) -> list[Epoch]:
    epochs = []
    for i in range(len(cuts[contract.topics[0]]) + 1):
        lines = {
            topic: recording.streams[names[topic]].ordered([0, *at][i], [*at, None][i]) for topic, at in cuts.items()
        }
        epochs.append(Epoch(i, lines, tuple(_spells(recording, contract, names, lines))))
    return epochs


def _spells(
    recording: Recording, contract: Contract, names: dict[str, str], lines: dict[str, Ordered]
) -> Iterator[Spell]:
    observed = observed_topics(contract)
    for topic in observed:
        yield from _frozen(recording.streams[names[topic]], lines[topic], contract)
    for topic in dict.fromkeys([*observed, contract.action.topic]):
        stream, line = recording.streams[names[topic]], lines[topic]
        for i in faults.rate_changes(line.stamp_ns, contract.faults.rate_factor):
            before_ms, after_ms = (np.median(np.diff(side)) / 1e6 for side in _sides(line.stamp_ns, i))
            detail = f"a message each {before_ms:.1f} ms before, each {after_ms:.1f} ms after"
            at_ns = int(line.stamp_ns[i])
            yield Spell(_fault("rate_change", stream, line.position[i], detail), at_ns, at_ns)


def _sides(stamp_ns: Array, i: int, n: int = 51) -> tuple[Array, Array]:
    return stamp_ns[max(0, i - n + 1) : i + 1], stamp_ns[i : i + n]


def _frozen(stream: Stream, line: Ordered, contract: Contract) -> Iterator[Spell]:
    """Only content that is identical to the last bit counts; an arm that stands still may well look like that."""
    is_camera = stream.type_name.endswith("Image")
    what = "the same pixels" if is_camera else "exactly the same values (standing still, or its driver stopped reading)"
    longer_ns = contract.faults.frozen_s * 1e9
    for first, last in faults.frozen(line.stamp_ns, stream.version[line.position], longer_ns):
        first_ns, last_ns = int(line.stamp_ns[first]), int(line.stamp_ns[last])
        detail = f"{what} for {(last_ns - first_ns) / 1e9:.3f} s, {last - first + 1} messages"
        # the first message was still seen as it was: what is wrong begins after it
        yield Spell(_fault("frozen", stream, line.position[first], detail), first_ns + 1, last_ns)


def _fault(kind: Kind, stream: Stream, message: int, detail: str) -> Fault:
    return Fault(kind, stream.topic, int(stream.stamp_ns[message]), int(message), detail)


def _leap(stream: Stream, i: int) -> str:
    step_s = (int(stream.stamp_ns[i]) - int(stream.stamp_ns[i - 1])) / 1e9
    receipt_s = (int(stream.receipt_ns[i]) - int(stream.receipt_ns[i - 1])) / 1e9
    return f"stamps go on by {step_s:.3f} s from one message to the next, receipts by {receipt_s:.3f} s"


def _summed(kind: Kind, stream: Stream, index: Array) -> list[Fault]:
    """One fault for all messages `index` that were passed over for this reason."""
    if not len(index):
        return []
    return [_fault(kind, stream, index[0], f"{len(index)} of {len(stream)} messages")._replace(done="passed over")]
