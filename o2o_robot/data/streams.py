"""The streams of one recording in memory: every stamp, the bytes of what is small, and what became of each message."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from o2o_robot.data import decode
from o2o_robot.data.align import Ordered, in_order
from o2o_robot.data.bag import Bag
from o2o_robot.data.decode import Types
from o2o_robot.types import Array

KEEP_BYTES = 256 << 20  # of raw messages in memory; beyond it the bulky topics are read from disk a second time


class Fate(enum.IntEnum):
    """What became of a message. Where a message has several fates, the highest counts."""

    OUTSIDE_EPISODE = 0
    CUT_BY_GAP = 1
    SUPERSEDED = 2
    OUT_OF_TOLERANCE = 3
    BACKWARD_STAMP = 4
    UNDECODABLE = 5
    USED = 6


@dataclass
class Stream:
    """One topic: stamp_ns (N,) of the sensor (of receipt where it has none), fate (N,), bytes while they are few."""

    topic: str
    type_name: str
    stamp_ns: Array
    n_receipt_stamps: int
    data: list[bytes] | None
    fate: Array = field(init=False)

    def __post_init__(self) -> None:
        self.fate = np.full(len(self.stamp_ns), Fate.OUTSIDE_EPISODE, np.uint8)

    def __len__(self) -> int:
        return len(self.stamp_ns)

    def mark(self, index: Array | list[int], fate: Fate) -> None:
        """Raise the fate of messages `index` to at least `fate`."""
        self.fate[index] = np.maximum(self.fate[index], fate)

    def ordered(self) -> Ordered:
        """The decodable messages in strictly increasing order of stamps; position counts in this stream."""
        sound = np.flatnonzero(self.fate != Fate.UNDECODABLE)
        order = in_order(self.stamp_ns[sound])
        return Ordered(sound[order.position], order.stamp_ns, sound[order.duplicate], sound[order.backward])

    def counts(self) -> dict[str, object]:
        """Messages by fate, for the report; they add up to `messages`."""
        tally = Counter({fate: int((self.fate == fate).sum()) for fate in Fate})
        whole = (Fate.USED, Fate.SUPERSEDED, Fate.OUT_OF_TOLERANCE)
        dropped = {fate.name.lower(): n for fate, n in tally.items() if n and fate not in whole}
        kept = {fate.name.lower(): tally[fate] for fate in whole}
        return {"type": self.type_name, "messages": len(self), **kept, "dropped": dropped}


class Raw(NamedTuple):
    """Message `number` of a topic."""

    topic: str
    number: int
    data: bytes


@dataclass
class Recording:
    """What a bag holds of the wanted topics, and how many messages of the others.

    recording = Recording.load(bag, {"/joint_states", "/image"})
    for raw in recording.select({"/image": [0, 3, 6]}):
        recording.types.message(raw.topic, raw.data)
    """

    bag: Bag
    types: Types
    streams: dict[str, Stream]
    others: dict[str, int]

    @classmethod
    def load(cls, bag: Bag, wanted: Iterable[str], *, keep_bytes: int = KEEP_BYTES) -> Recording:
        """Read all stamps, and all bytes up to keep_bytes. Raises DataError where the bag is damaged."""
        topics = bag.topics()
        names = dict.fromkeys(wanted)
        types = Types({name: topics[name] for name in names})
        has_header = {name: types.has_header(name) for name in names}
        stamps: dict[str, list[int]] = {name: [] for name in names}
        data: dict[str, list[bytes]] = {name: [] for name in names}
        n_bytes = dict.fromkeys(names, 0)
        n_receipt, others = Counter[str](), Counter[str]()
        for message in bag.messages(names):
            name = message.topic
            if name not in names:
                others[name] += 1
                continue
            stamp_ns = decode.header_stamp_ns(message.data) if has_header[name] else 0
            n_receipt[name] += stamp_ns == 0
            stamps[name].append(stamp_ns or message.receipt_ns)
            if name in data:
                data[name].append(message.data)
                n_bytes[name] += len(message.data)
                if sum(n_bytes.values()) > keep_bytes:
                    bulkiest = max(n_bytes, key=lambda each: n_bytes[each])
                    del data[bulkiest]
                    n_bytes[bulkiest] = 0
        streams = {
            name: Stream(
                name, topics[name].type_name, np.array(stamps[name], np.int64), n_receipt[name], data.get(name)
            )
            for name in names
        }
        return cls(bag, types, streams, dict(others))

    def select(self, wanted: Mapping[str, Iterable[int]]) -> Iterator[Raw]:
        """The messages of these indices, topic by topic; those not in memory in one more pass over the bag."""
        on_disk: dict[str, set[int]] = {}
        for topic, indices in wanted.items():
            data = self.streams[topic].data
            if data is None:
                on_disk[topic] = {int(index) for index in indices}
            else:
                yield from (Raw(topic, int(index), data[index]) for index in indices)
        if on_disk:
            yield from self._select_on_disk(on_disk)

    def _select_on_disk(self, wanted: Mapping[str, set[int]]) -> Iterator[Raw]:
        seen = dict.fromkeys(wanted, 0)
        for message in self.bag.messages(wanted):
            if message.topic in wanted:
                index = seen[message.topic]
                seen[message.topic] += 1
                if index in wanted[message.topic]:
                    yield Raw(message.topic, index, message.data)

    def counts(self) -> dict[str, dict[str, object]]:
        """Every topic of the bag with its messages by fate; each adds up."""
        kept = {name: stream.counts() for name, stream in self.streams.items()}
        empty = {"used": 0, "superseded": 0, "out_of_tolerance": 0}
        rest = {name: {"messages": n, **empty, "dropped": {"not_in_contract": n}} for name, n in self.others.items()}
        return dict(sorted((kept | rest).items()))

    def notes(self) -> list[str]:
        """What a person should know about the stamps of this recording."""
        lines = []
        for name, stream in self.streams.items():
            if stream.n_receipt_stamps:
                lines.append(f"{name}: {stream.n_receipt_stamps} of {len(stream)} stamps are times of receipt")
            order = stream.ordered()
            for kind, positions in (("duplicate", order.duplicate), ("backward", order.backward)):
                if len(positions):
                    lines.append(f"{name}: {len(positions)} {kind} stamps, the first at message {positions[0]}")
        return lines
