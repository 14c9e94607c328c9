"""One rosbag2 SQLite file (.db3), with or without embedded type definitions."""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from o2o_robot.data.mcap_file import Message, Topic
from o2o_robot.errors import DataError

_MAGIC = b"SQLite format 3\x00"


class Db3File:
    """The topics and messages of one .db3 file, opened read-only. Raises DataError, naming the file, on any damage."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def topics(self) -> dict[str, Topic]:
        """Every topic by name. Definitions are '' in files older than rosbag2's schema 4 (Iron)."""
        rows = self._rows("SELECT name, type, serialization_format FROM topics")
        texts = self._definitions()
        return {
            str(name): Topic(str(name), str(kind), str(form), *texts.get(kind, ("", ""))) for name, kind, form in rows
        }

    def messages(self, wanted: Container[str]) -> Iterator[Message]:
        """Every message by receipt time. data is b'' where the topic is not wanted: counted, not copied."""
        names = dict(self._rows("SELECT id, name FROM topics"))
        numbers = [str(int(number)) for number, name in names.items() if name in wanted]
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
        if not list(self._rows("SELECT 1 FROM sqlite_master WHERE type='table' AND name='message_definitions'")):
            return {}
        query = "SELECT topic_type, encoded_message_definition, encoding FROM message_definitions"
        return {name: (text, form) for name, text, form in self._rows(query)}

    def _rows(self, query: str) -> Iterator[tuple]:
        self._check_is_bag()
        try:
            with closing(self._open()) as connection:
                yield from connection.execute(query)
        except (sqlite3.Error, OverflowError, MemoryError) as problem:
            raise DataError(f"{self.path}: damaged SQLite bag ({problem})") from None

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(str(self.path))}?mode=ro&immutable=1", uri=True)

    def _check_is_bag(self) -> None:
        size = self.path.stat().st_size
        if size == 0:
            raise DataError(f"{self.path}: the file is empty (0 bytes)")
        with self.path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise DataError(f"{self.path}: not an SQLite file, so not a rosbag2 .db3")
        try:
            with closing(self._open()) as connection:
                # tables only: a view named `messages` could be an endless query
                rows = connection.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
        except sqlite3.Error as problem:
            raise DataError(f"{self.path}: damaged SQLite bag ({problem})") from None
        if not {("topics",), ("messages",)} <= set(rows):
            raise DataError(f"{self.path}: an SQLite file, but not a rosbag2 bag (no tables 'topics' and 'messages')")
