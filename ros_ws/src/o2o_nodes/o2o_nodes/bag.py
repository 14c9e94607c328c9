"""One MCAP file an episode, from serialised messages. What belongs to an episode is told by stamps, not by arrival:
a START or END may overtake, or be overtaken by, the messages of any other topic."""

from __future__ import annotations

import struct
from collections import deque
from pathlib import Path
from typing import NamedTuple

from o2o_msgs.msg import EpisodeEvent
from rclpy.serialization import serialize_message

from o2o_nodes import convert
from o2o_robot.data.bags.mcap_writer import McapEpisodeWriter, schema_text

# sensors speak of every instant; these do not, and an episode may end without them
OF_NO_INSTANT = {"episode", "action", "executed_action", "safety_state", "scene"}
IN_HAND_BYTES = 64_000_000  # of latest messages, from which a START takes those that came before it


class Raw(NamedTuple):
    """A serialised message: its topic, its bytes, when it was heard, and its own stamp."""

    topic: str
    cdr: bytes
    heard_ns: int
    stamp_ns: int


class EpisodeBag:
    """bag.add(topic, cdr, heard_ns) for every message, bag.on_event(event, heard_ns) at START and END, at last close().

    A file is finished when its END is known, every executed action is in it, and every sensor has spoken of the final
    instant or a later one; until then it stays `.part`. An episode whose END never came is not a bag.
    """

    def __init__(self, folder: Path) -> None:
        self.written = self.messages = self.steps_written = 0
        self.last = ""  # id of the episode whose file was finished last
        self._folder = folder
        self._types: dict[str, tuple[str, str]] = {}
        self._in_hand: deque[Raw] = deque()
        self._in_hand_bytes = 0
        self._open: list[_File] = []
        self.register("episode", EpisodeEvent)

    def register(self, topic: str, kind: type) -> None:
        """Announce a topic that will be written. Raises DataError where its definition is not installed."""
        name = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
        self._types[topic] = (name, schema_text(name))

    def add(self, topic: str, cdr: bytes, heard_ns: int) -> None:
        raw = Raw(topic, bytes(cdr), heard_ns, header_stamp_ns(cdr))
        for file in self._open:
            file.offer(raw)
        self._finish_whole_ones()
        self._in_hand.append(raw)
        self._in_hand_bytes += len(raw.cdr)
        while self._in_hand_bytes > IN_HAND_BYTES:
            self._in_hand_bytes -= len(self._in_hand.popleft().cdr)

    def on_event(self, event: EpisodeEvent, heard_ns: int) -> None:
        raw = Raw("episode", serialize_message(event), heard_ns, convert.stamp_ns(event.header.stamp))
        if event.kind == EpisodeEvent.START:
            file = _File(self._folder / f"{event.id}.mcap", self._types, raw.stamp_ns)
            self._open.append(file)
            for earlier in (raw, *self._in_hand):
                file.offer(earlier)
        for file in self._open:
            if event.kind == EpisodeEvent.END and file.path.stem == event.id:
                file.offer(raw)
                file.end = event
        self._finish_whole_ones()

    def close(self) -> None:
        """Finish what has its END, whole or not (a reader will say what it lacks); drop what has none."""
        for file in self._open:
            if file.end is None:
                file.writer.abort()
            else:
                self._finish(file)
        self._open = []

    def _finish_whole_ones(self) -> None:
        for file in [file for file in self._open if file.is_whole]:
            self._finish(file)
            self._open.remove(file)

    def _finish(self, file: _File) -> None:
        assert file.end is not None
        file.writer.finish()
        self.written, self.last = self.written + 1, file.end.id
        self.messages += file.writer.n_messages
        self.steps_written += file.end.n_steps


class _File:
    """An episode's file on its way: takes what is stamped within it, knows what is still missing."""

    def __init__(self, path: Path, types: dict[str, tuple[str, str]], first_ns: int) -> None:
        self.path, self.writer = path, McapEpisodeWriter(path)
        self.end: EpisodeEvent | None = None
        self._first_ns = first_ns
        self._executed = 0
        self._latest_ns = dict.fromkeys(types.keys() - OF_NO_INSTANT, 0)
        for topic, (name, text) in types.items():
            self.writer.register(topic, name, text)

    @property
    def is_whole(self) -> bool:
        if self.end is None or self._executed < self.end.n_steps:
            return False
        return all(latest_ns >= self._final_ns for latest_ns in self._latest_ns.values())

    @property
    def _final_ns(self) -> int:
        return convert.stamp_ns(self.end.header.stamp) if self.end is not None else 2**63

    def offer(self, raw: Raw) -> None:
        if raw.topic in self._latest_ns:  # cameras of their own rhythm have no word on the very instant, only after it
            self._latest_ns[raw.topic] = raw.stamp_ns
        if not self._first_ns <= raw.stamp_ns <= self._final_ns:
            return
        self.writer.write(raw.topic, raw.cdr, log_time_ns=raw.heard_ns, publish_time_ns=raw.stamp_ns)
        self._executed += raw.topic == "executed_action"


def header_stamp_ns(cdr: bytes) -> int:
    """The stamp of a serialised message whose first field is a std_msgs/Header (little-endian CDR)."""
    sec, nanosec = struct.unpack_from("<iI", cdr, 4)
    return sec * 1_000_000_000 + nanosec
