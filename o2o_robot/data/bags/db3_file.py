"""One rosbag2 SQLite file (.db3), with or without embedded type definitions."""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from o2o_robot.data.bags.foreign import one_line
from o2o_robot.data.bags.mcap_file import MAX_DEFINITION_BYTES, Message, Topic
from o2o_robot.data.bags.unpack import MAX_MESSAGE_BYTES
from o2o_robot.errors import DataError

_MAGIC = b"SQLite format 3\x00"
_DAMAGE = (sqlite3.Error, UnicodeDecodeError, OverflowError, MemoryError)


class Db3File:
    """The topics and messages of one .db3 file, opened read-only. Raises DataError, naming the file, on any damage."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def topics(self) -> dict[str, Topic]:
        """Every topic by name. Definitions are '' in files older than rosbag2's schema 4 (Iron)."""
        rows = self._rows("SELECT name, type, serialization_format FROM topics")
        texts, distro = self._definitions(), self._distro()
        found = {}
        for name, kind, form in rows:
            service = str(kind).removesuffix("_Event")  # events of a service are defined by the service
            text, text_form = texts.get(kind) or texts.get(service) or ("", "")
            found[str(name)] = Topic(str(name), str(kind), str(form), str(text), str(text_form), distro)
        return found

    def messages(self, wanted: Container[str]) -> Iterator[Message]:
        """Every message by receipt time. data is b'' where the topic is not wanted: counted, not copied."""
        names = dict(self._rows("SELECT id, name FROM topics"))
        if not all(isinstance(number, int) and isinstance(name, str) for number, name in names.items()):
            raise DataError(f"{self.path}: damaged, a topic of its list is not a number and a name")
        numbers = [str(number) for number, name in names.items() if name in wanted]
        query = (
            f"SELECT topic_id, timestamp, CASE WHEN topic_id IN ({','.join(numbers)}) THEN data ELSE x'' END "
            "FROM messages ORDER BY timestamp, id"
        )
        for number, receipt_ns, data in self._rows(query):
            if number not in names:
                raise DataError(
                    f"{self.path}: damaged, a message belongs to topic number {number}, which is not listed"
                )
            if not isinstance(receipt_ns, int) or not isinstance(data, bytes):  # SQLite keeps any type in any column
                raise DataError(f"{self.path}: damaged, a message of {names[number]} is not a stamp and bytes")
            yield Message(names[number], receipt_ns, data)

    def _definitions(self) -> dict[str, tuple[str, str]]:
        if not self._has_table("message_definitions"):
            return {}
        # cut off in the query: a definition is asked for before anyone knows how long it is
        query = f"""SELECT topic_type, substr(encoded_message_definition, 1, {MAX_DEFINITION_BYTES + 1}), encoding
            FROM message_definitions"""
        return {name: (text, form) for name, text, form in self._rows(query)}

    def _distro(self) -> str:
        """The ROS release in table `schema` (rosbag2's schema 3, Humble, and later), else ''."""
        if not self._has_table("schema"):
            return ""
        return str(next(self._rows("SELECT ros_distro FROM schema LIMIT 1"), ("",))[0] or "")

    def _has_table(self, name: str) -> bool:
        return bool(list(self._rows(f"SELECT 1 FROM sqlite_master WHERE type='table' AND name='{name}'")))

    def _rows(self, query: str) -> Iterator[tuple]:
        self._check_is_bag()
        try:
            with closing(self._open()) as connection:
                yield from connection.execute(query)
        except _DAMAGE as problem:
            raise DataError(f"{self.path}: damaged SQLite bag ({one_line(problem)})") from None

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(f"file:{quote(str(self.path))}?mode=ro&immutable=1", uri=True)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_MESSAGE_BYTES)  # else a row may claim a gigabyte
        return connection

    def _check_is_bag(self) -> None:
        size = self.path.stat().st_size
        if size == 0:
            raise DataError(f"{self.path}: the file is empty (0 bytes)")
        log = self.path.with_name(self.path.name + "-wal")
        if log.is_file() and log.stat().st_size:
            raise DataError(
                f"{self.path}: the recorder was stopped before it wrote {log.name} into it, so its last messages are "
                f"missing; on a copy of both files run `sqlite3 {self.path.name} 'PRAGMA wal_checkpoint(TRUNCATE)'`"
            )
        with self.path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise DataError(f"{self.path}: not an SQLite file, so not a rosbag2 .db3")
        try:
            with closing(self._open()) as connection:
                # tables only: a view named `messages` could be an endless query
                rows = connection.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
        except _DAMAGE as problem:
            raise DataError(f"{self.path}: damaged SQLite bag ({one_line(problem)})") from None
        if not {("topics",), ("messages",)} <= set(rows):
            raise DataError(f"{self.path}: an SQLite file, but not a rosbag2 bag (no tables 'topics' and 'messages')")
