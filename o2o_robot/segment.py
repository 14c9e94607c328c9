"""One file of a spool: a head, then records one after the other, each with its number and its checksum."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from o2o_robot.errors import DataError

ENDING = ".steps"
HEAD = struct.Struct("<8sQQ")  # magic, first number, tally
_MAGIC = b"O2OSTEP1"
_RECORD = struct.Struct("<QQII")  # number, tally, length, crc32
_MAX_RECORD = 1 << 30  # bytes; a longer length is damage


class Record(NamedTuple):
    """One step as it went over the wire. tally: the writer's own count, as it was with this step."""

    number: int
    tally: int
    data: bytes


class Whole(NamedTuple):
    """How much of a segment is whole, how far it counts, and the bytes its longest record takes."""

    n_bytes: int
    next_number: int
    tally: int
    largest: int


def head(number: int, tally: int) -> bytes:
    """What a segment begins with."""
    return HEAD.pack(_MAGIC, number, tally)


def packed(number: int, tally: int, data: bytes) -> bytes:
    """A record as it is written."""
    return _RECORD.pack(number, tally, len(data), _checksum(number, tally, data)) + data


def segments(folder: Path) -> list[Path]:
    """The segments in a folder, oldest first."""
    return sorted(path for path in folder.glob(f"*{ENDING}") if path.stem.isdigit())


def records(path: Path, end: int) -> Iterator[Record]:
    """The records of a segment up to number `end` - 1. DataError where one is damaged."""
    with path.open("rb") as file:
        number, _ = _begin(path, file)
        while number < end:
            record = _next(file)
            if record is None or record.number != number:
                raise DataError(f"{path}: step {number} is damaged; what was recorded is in the store, begin a new run")
            yield record
            number += 1


def whole_part(path: Path) -> Whole:
    """How far a segment can be read: up to the first record that is torn, or not the next one."""
    with path.open("rb") as file:
        number, tally = _begin(path, file)
        n_bytes, largest = HEAD.size, 0
        while (record := _next(file)) is not None and record.number == number:
            taken = _RECORD.size + len(record.data)
            n_bytes, largest = n_bytes + taken, max(largest, taken)
            number, tally = number + 1, record.tally
    return Whole(n_bytes, number, tally, largest)


def _begin(path: Path, file: BinaryIO) -> tuple[int, int]:
    """Number and tally that a segment begins with."""
    raw = file.read(HEAD.size)
    magic, number, tally = HEAD.unpack(raw) if len(raw) == HEAD.size else (b"", 0, 0)
    if magic != _MAGIC or number != int(path.stem):
        raise DataError(f"{path} is no segment of a spool; move it away")
    return number, tally


def _next(file: BinaryIO) -> Record | None:
    """The next record, or None where it is torn or does not match its checksum."""
    raw = file.read(_RECORD.size)
    if len(raw) < _RECORD.size:
        return None
    number, tally, length, checksum = _RECORD.unpack(raw)
    data = file.read(length) if length <= _MAX_RECORD else b""
    whole = len(data) == length and checksum == _checksum(number, tally, data)
    return Record(number, tally, data) if whole else None


def _checksum(number: int, tally: int, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(struct.pack("<QQI", number, tally, len(data))))
