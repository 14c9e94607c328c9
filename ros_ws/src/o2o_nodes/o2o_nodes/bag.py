"""One MCAP file an episode, from serialised messages, with what came just before the start kept in hand."""

from __future__ import annotations

import struct
from collections import deque
from pathlib import Path
from typing import Any

from o2o_msgs.msg import EpisodeEvent
from rclpy.serialization import serialize_message

from o2o_nodes import convert
from o2o_robot.data.mcap_writer import McapEpisodeWriter, schema_text

# sensors speak of every instant; these do not, and an episode may end without them
OF_NO_INSTANT = {"episode", "action", "executed_action", "safety_state"}
IN_HAND = 2048  # messages kept while no episode runs: two seconds of everything a robot publishes


class EpisodeBag:
    """Messages are kept in hand; a START takes those from its stamp on, and an END finishes the file.

    The END may overtake the last messages of other topics, so the file is finished when every executed action and every
    sensor's word on the final instant are in it, or when the next episode starts.
    """

    def __init__(self, folder: Path, logger: Any) -> None:
        self.written = self.messages = self.steps_written = 0
        self._folder, self._logger = folder, logger
        self._types: dict[str, tuple[str, str]] = {}
        self._in_hand: deque[tuple[str, bytes, int]] = deque(maxlen=IN_HAND)
        self._writer: McapEpisodeWriter | None = None
        self._end: EpisodeEvent | None = None
        self._latest_ns: dict[str, int] = {}
        self._executed = 0
        self.register("episode", EpisodeEvent)

    def register(self, topic: str, kind: type) -> None:
        """Announce a topic that will be written. Raises DataError where its definition is not installed."""
        name = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
        self._types[topic] = (name, schema_text(name))

    def add(self, topic: str, cdr: bytes, log_time_ns: int) -> None:
        if self._writer is not None:
            self._write(topic, cdr, log_time_ns)
            self._finish_if_whole()
        else:
            self._in_hand.append((topic, bytes(cdr), log_time_ns))

    def on_event(self, event: EpisodeEvent, log_time_ns: int) -> None:
        if event.kind == EpisodeEvent.START:
            self._start(event, log_time_ns)
        elif self._writer is not None:
            self._write("episode", serialize_message(event), log_time_ns)
            self._end = event
            self._finish_if_whole()

    def close(self) -> None:
        """Finish a file whose END came; an episode cut short is not a bag."""
        if self._writer is None:
            return
        if self._end is not None:
            self._finish()
        else:
            self._writer.abort()
            self._writer = None

    def _start(self, event: EpisodeEvent, log_time_ns: int) -> None:
        self.close()
        self._writer = McapEpisodeWriter(self._folder / f"{event.id}.mcap")
        self._end, self._executed = None, 0
        self._latest_ns = dict.fromkeys(self._types.keys() - OF_NO_INSTANT, 0)
        for topic, (name, text) in self._types.items():
            self._writer.register(topic, name, text)
        self._write("episode", serialize_message(event), log_time_ns)
        first_ns = convert.stamp_ns(event.header.stamp)
        for topic, cdr, seen_ns in self._in_hand:
            if header_stamp_ns(cdr) >= first_ns:
                self._write(topic, cdr, seen_ns)
        self._in_hand.clear()

    def _write(self, topic: str, cdr: bytes, log_time_ns: int) -> None:
        assert self._writer is not None
        stamp_ns = header_stamp_ns(cdr)
        self._writer.write(topic, cdr, log_time_ns=log_time_ns, publish_time_ns=stamp_ns)
        self.messages += 1
        self._executed += topic == "executed_action"
        if topic in self._latest_ns:
            self._latest_ns[topic] = stamp_ns

    def _finish_if_whole(self) -> None:
        if self._end is None or self._executed < self._end.n_steps:
            return
        final_ns = convert.stamp_ns(self._end.header.stamp)
        if all(latest_ns >= final_ns for latest_ns in self._latest_ns.values()):
            self._finish()

    def _finish(self) -> None:
        assert self._writer is not None and self._end is not None
        self._writer.finish()
        self.written, self.steps_written = self.written + 1, self.steps_written + self._end.n_steps
        self._writer = self._end = None


def header_stamp_ns(cdr: bytes) -> int:
    """The stamp of a serialised message whose first field is a std_msgs/Header (little-endian CDR)."""
    sec, nanosec = struct.unpack_from("<iI", cdr, 4)
    return sec * 1_000_000_000 + nanosec
