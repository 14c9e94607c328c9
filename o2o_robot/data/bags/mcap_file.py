"""One MCAP file, read front to back without trusting a size it states. https://mcap.dev/spec

A reader of our own because recordings come from strangers: every length is checked against the file before memory is
asked for, a chunk may not unpack to more than it declares, and checksums are verified. It is also the fastest of the
three that were tried (see benchmarks/ingest.py).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

from o2o_robot.errors import DataError

T = TypeVar("T")
MAGIC = b"\x89MCAP0\r\n"
MAX_DEFINITION_BYTES = 1 << 18  # of one type's text; a longer one is not parsed
MAX_CHUNK_BYTES = 1 << 30  # rosbag2 writes 0.8 to 4 MB; foxglove's largest preset is 32 MB
_HEADER, _FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0F
_FOOTER_BYTES = 9 + 20 + len(MAGIC)


class Topic(NamedTuple):
    """A topic of a recording. definition is the text that describes its type, '' where the file has none.

    distro, definitions: the ROS release and a folder of definitions, for types without a text ('': not known, none).
    """

    name: str
    type_name: str
    encoding: str
    definition: str = ""
    definition_format: str = ""
    distro: str = ""
    definitions: str = ""


class Message(NamedTuple):
    """One message as it was recorded: when the recorder received it, and its CDR bytes."""

    topic: str
    receipt_ns: int
    data: bytes


class McapFile:
    """The topics and messages of one finished MCAP file. Raises DataError, naming the file, on any damage."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def topics(self) -> dict[str, Topic]:
        """Every topic by name, from the summary where the file has one, otherwise from a full walk."""
        with self.path.open("rb") as file:
            summary_start = self._check_ends(file)
            for start in (summary_start, len(MAGIC)):
                tables = _Tables()
                for op, body in self._records(file, start, chunks=start == len(MAGIC)) if start else ():
                    self._guarded(tables.learn, op, body)
                if tables.topics:
                    return {topic.name: topic for topic in tables.topics.values()}
        return {}

    def messages(self, wanted: Container[str]) -> Iterator[Message]:
        """Every message in file order. data is b'' where the topic is not wanted: counted, not copied."""
        tables = _Tables()
        with self.path.open("rb") as file:
            self._check_ends(file)
            for op, body in self._records(file, len(MAGIC), chunks=True):
                if op == _MESSAGE:
                    yield self._guarded(tables.message, body, wanted)
                else:
                    self._guarded(tables.learn, op, body)

    def _check_ends(self, file: BinaryIO) -> int:
        """Where the summary starts (0: none). Raises DataError where the file is empty, foreign or cut short."""
        size = self.path.stat().st_size
        if size == 0:
            raise DataError(f"{self.path}: the file is empty (0 bytes)")
        if file.read(len(MAGIC)) != MAGIC:
            raise DataError(f"{self.path}: not an MCAP file (it does not begin with the MCAP magic)")
        tail = b""
        if size >= len(MAGIC) + _FOOTER_BYTES:
            file.seek(size - _FOOTER_BYTES)
            tail = file.read(_FOOTER_BYTES)
        if not tail.endswith(MAGIC) or tail[0] != _FOOTER:
            raise DataError(
                f"{self.path}: truncated, the file stops after {size} bytes without its footer; "
                "try `mcap recover` on a copy"
            )
        summary_start = struct.unpack_from("<Q", tail, 9)[0]
        if summary_start >= size:
            raise DataError(f"{self.path}: damaged, the footer points to byte {summary_start} of {size}")
        return int(summary_start)

    def _records(self, file: BinaryIO, start: int, *, chunks: bool) -> Iterator[tuple[int, memoryview]]:
        """Schema, channel and message records from `start` on, chunks opened; stops at the end of the section."""
        size, position = self.path.stat().st_size, start
        file.seek(start)
        while position + 9 <= size:
            op, length = struct.unpack("<BQ", file.read(9))
            position += 9
            if length > size - position:
                raise DataError(
                    f"{self.path}: damaged at byte {position - 9}, a record claims {length} bytes, "
                    f"the file has {size - position} left"
                )
            if op in (_DATA_END, _FOOTER):
                return
            if op == _CHUNK and chunks:
                yield from _split(self._guarded(_unpack_chunk, file.read(length)), self.path)
            elif op in (_SCHEMA, _CHANNEL, _MESSAGE):
                yield op, memoryview(file.read(length))
            else:
                file.seek(length, 1)
            position += length

    def _guarded(self, parse: Callable[..., T], *args: object) -> T:
        try:
            return parse(*args)
        except DataError as problem:
            raise DataError(f"{self.path}: {problem}") from None
        except (struct.error, UnicodeDecodeError, KeyError, IndexError, RuntimeError, MemoryError) as problem:
            raise DataError(f"{self.path}: damaged record ({type(problem).__name__}: {problem})") from None


class _Tables:
    """What schema and channel records have said so far."""

    def __init__(self) -> None:
        self._schemas: dict[int, tuple[str, str, str]] = {0: ("", "", "")}
        self.topics: dict[int, Topic] = {}

    def learn(self, op: int, body: memoryview) -> None:
        if op == _SCHEMA:
            name, at = _text(body, 2)
            encoding, at = _text(body, at)
            definition, _ = _text(body, at)
            self._schemas[struct.unpack_from("<H", body)[0]] = (name, encoding, definition)
        elif op == _CHANNEL:
            number, schema = struct.unpack_from("<HH", body)
            topic, at = _text(body, 4)
            message_encoding, _ = _text(body, at)
            type_name, encoding, definition = self._schemas[schema]
            self.topics[number] = Topic(topic, type_name, message_encoding, definition, encoding)

    def message(self, body: memoryview, wanted: Container[str]) -> Message:
        number, _, log_ns, _ = struct.unpack_from("<HIQQ", body)
        topic = self.topics[number].name
        return Message(topic, log_ns, bytes(body[22:]) if topic in wanted else b"")


def _text(body: memoryview, at: int) -> tuple[str, int]:
    end = at + 4 + struct.unpack_from("<I", body, at)[0]
    if end > len(body):
        raise DataError(f"damaged, a text claims {end - at - 4} bytes of the {len(body) - at - 4} left in its record")
    return str(body[at + 4 : end], "utf-8"), end


def _unpack_chunk(body: bytes) -> bytes:
    size, crc = struct.unpack_from("<QI", body, 16)
    compression, at = _text(memoryview(body), 28)
    stored = struct.unpack_from("<Q", body, at)[0]
    packed = body[at + 8 : at + 8 + stored]
    if size > MAX_CHUNK_BYTES or stored != len(packed):
        raise DataError(f"damaged chunk: it claims {stored} bytes that unpack to {size} (at most {MAX_CHUNK_BYTES})")
    if compression not in _UNPACK:
        raise DataError(f"chunk compression '{compression}' is not known (known: zstd, lz4, none)")
    data = _UNPACK[compression](packed, size)
    if len(data) != size or (crc and zlib.crc32(data) != crc):
        raise DataError("damaged chunk: its checksum or size does not match its contents")
    return data


def _zstd(packed: bytes, size: int) -> bytes:
    import zstandard

    try:
        stated = zstandard.frame_content_size(packed)
        if stated not in (-1, size):  # -1: the frame does not say
            raise DataError(f"damaged chunk: it states {size} bytes, its zstd frame {stated}")
        return zstandard.ZstdDecompressor().decompress(packed, max_output_size=size)
    except zstandard.ZstdError as problem:
        raise DataError(f"damaged chunk: {problem}") from None


def _lz4(packed: bytes, size: int) -> bytes:
    import lz4.frame

    return lz4.frame.LZ4FrameDecompressor().decompress(packed, max_length=size)


_UNPACK: dict[str, Callable[[bytes, int], bytes]] = {"": lambda packed, size: packed, "zstd": _zstd, "lz4": _lz4}


def _split(chunk: bytes, path: Path) -> Iterator[tuple[int, memoryview]]:
    view, at = memoryview(chunk), 0
    while at + 9 <= len(view):
        op, length = struct.unpack_from("<BQ", view, at)
        at += 9
        if length > len(view) - at:
            raise DataError(f"{path}: damaged chunk, a record claims {length} bytes of the {len(view) - at} left")
        if op in (_SCHEMA, _CHANNEL, _MESSAGE):
            yield op, view[at : at + length]
        at += length
