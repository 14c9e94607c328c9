"""The streams of one recording in memory: every stamp, the bytes of what is small, and what became of each message."""

from __future__ import annotations

import enum
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from o2o_robot.data import decode
from o2o_robot.data.align import Ordered, in_order
from o2o_robot.data.bag import Bag
from o2o_robot.data.bags.mcap_file import Message
from o2o_robot.data.decode import Types
from o2o_robot.errors import DataError
from o2o_robot.types import Array

KEEP_BYTES = 64 << 20  # of raw messages in memory; beyond it the bulky topics are read from disk a second time
_LATEST_NS = 1 << 62  # the year 2116: a receipt stamp of 64 bits without a sign would not fit an int64
_AFTER_STAMP = 12  # bytes of encapsulation and stamp before what a message says
_TAIL_BYTES = 64


class Fate(enum.IntEnum):
    """What became of a message. Where a message has several fates, the highest counts."""

    OUTSIDE_EPISODE = 0
    CUT_BY_GAP = 1
    CUT_BY_FAULT = 2
    REJECTED = 3  # its episode was: by a fault, or because it was not whole
    SUPERSEDED = 4
    OUT_OF_TOLERANCE = 5
    BACKWARD_STAMP = 6
    OUTLIER_STAMP = 7  # a leap of the clock that the next messages do not confirm
    UNDECODABLE = 8
    USED = 9


UNSOUND = (Fate.OUTLIER_STAMP, Fate.UNDECODABLE)  # facts about a message itself, whatever the episodes are


@dataclass
class Stream:
    """One topic: stamp_ns (N,) of the sensor (of receipt where it has none), fate (N,), bytes while they are few.

    receipt_ns (N,): when the recorder got it. order (N,): its place among all messages of the bag, increasing.
    version (N,): the same for messages that follow each other with the same content, header stamp apart.
    """

    topic: str
    type_name: str
    stamp_ns: Array
    n_receipt_stamps: int
    data: list[bytes] | None
    receipt_ns: Array
    order: Array
    version: Array
    fate: Array = field(init=False)

    def __post_init__(self) -> None:
        self.fate = np.full(len(self.stamp_ns), Fate.OUTSIDE_EPISODE, np.uint8)

    def __len__(self) -> int:
        return len(self.stamp_ns)

    def mark(self, index: Array | list[int], fate: Fate) -> None:
        """Raise the fate of messages `index` to at least `fate`."""
        self.fate[index] = np.maximum(self.fate[index], fate)

    def ordered(self, first: int = 0, last: int | None = None) -> Ordered:
        """Sound messages of [first, last) in strictly increasing order of stamps; position counts in this stream."""
        sound = first + np.flatnonzero(~np.isin(self.fate[first:last], UNSOUND))
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
        """Read all stamps (33 bytes of memory a message) and, up to keep_bytes, the messages themselves.

        Raises DataError where the bag is damaged.
        """
        topics = bag.topics()
        names = dict.fromkeys(wanted)
        types = Types({name: topics[name] for name in names})
        reading = {name: _Reading(types.has_header(name)) for name in names}
        others = Counter[str]()
        n_kept = 0
        for number, message in enumerate(bag.messages(names)):
            stream = reading.get(message.topic)
            if stream is None:
                others[message.topic] += 1
                continue
            n_kept += stream.add(message, number)
            if n_kept > keep_bytes:
                n_kept -= max(reading.values(), key=lambda each: each.n_bytes).let_go()
        streams = {name: each.stream(name, topics[name].type_name) for name, each in reading.items()}
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
        if any(on_disk.values()):
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
        return [
            f"{name}: {stream.n_receipt_stamps} of {len(stream)} stamps are times of receipt"
            for name, stream in self.streams.items()
            if stream.n_receipt_stamps
        ]


class _Reading:
    """One topic while its bag is read: 33 bytes a message (numbers in arrays, not objects), and the messages."""

    def __init__(self, has_header: bool) -> None:
        self._has_header = has_header
        self._stamp_ns, self._receipt_ns, self._order, self._version = (array("q") for _ in range(4))
        self._short: list[int] = []
        self._n_receipt_stamps = 0
        self._last = b""
        self.data: list[bytes] | None = []
        self.n_bytes = 0

    def add(self, message: Message, order: int) -> int:
        """Take the next message; returns the bytes of memory it takes up."""
        data, receipt_ns = message.data, min(message.receipt_ns, _LATEST_NS)
        stamp_ns = self._header_stamp_ns(data)
        self._n_receipt_stamps += stamp_ns == 0
        is_repeat = bool(self._version) and _same_content(data, self._last, _AFTER_STAMP if self._has_header else 0)
        self._version.append(self._version[-1] + (not is_repeat) if self._version else 0)
        self._stamp_ns.append(stamp_ns or receipt_ns)
        self._receipt_ns.append(receipt_ns)
        self._order.append(order)
        self._last = data
        if self.data is None:
            return 0
        self.data.append(data)
        n_bytes = sys.getsizeof(data) + 8
        self.n_bytes += n_bytes
        return n_bytes

    def let_go(self) -> int:
        """Keep no more messages; returns the bytes that frees."""
        freed, self.data, self.n_bytes = self.n_bytes, None, 0
        return freed

    def stream(self, name: str, type_name: str) -> Stream:
        columns = (self._stamp_ns, self._receipt_ns, self._order, self._version)
        stamp_ns, receipt_ns, order, version = (np.frombuffer(column or b"", np.int64) for column in columns)
        stream = Stream(name, type_name, stamp_ns, self._n_receipt_stamps, self.data, receipt_ns, order, version)
        stream.mark(self._short, Fate.UNDECODABLE)
        return stream

    def _header_stamp_ns(self, data: bytes) -> int:
        """0 where a driver left it zero, there is no header, or (then the message is undecodable) it is cut off."""
        if not self._has_header:
            return 0
        try:
            return decode.header_stamp_ns(data)
        except DataError:
            self._short.append(len(self._stamp_ns))
            return 0


def _same_content(data: bytes, other: bytes, start: int) -> bool:
    """True where two messages are equal from byte `start` on. Raw frames are of one length: their ends tell first."""
    return len(data) == len(other) and data[-_TAIL_BYTES:] == other[-_TAIL_BYTES:] and data[start:] == other[start:]
