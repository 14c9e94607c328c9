"""TFRecord files: where each record lies, and its bytes once their checksums agree.

A record is its length (uint64, little-endian), a masked crc32c of those 8 bytes, the bytes, and a masked crc32c of them
(tensorflow/core/lib/io/record_writer.h). A length that is not what was written ends a file: nothing after it is found.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

import google_crc32c

from o2o_robot.data.formats.demonstration import MAX_ROWS
from o2o_robot.errors import DataError

MAX_RECORD_BYTES = 1 << 30
_HEAD_BYTES, _TAIL_BYTES = 12, 4
_MASK_DELTA = 0xA282EAD8


class Span(NamedTuple):
    """Where the bytes of a record lie in its file."""

    start: int
    n_bytes: int


class Index(NamedTuple):
    """The records of a file; problem: why there may be more that cannot be found, '' where the file is whole."""

    spans: list[Span]
    problem: str = ""


def index(path: Path) -> Index:
    """Every record by its head alone. Raises DataError where there are more than any dataset keeps in one file."""
    size, spans, at = path.stat().st_size, list[Span](), 0
    with path.open("rb") as stream:
        while at < size:
            if len(spans) == MAX_ROWS:
                raise DataError(f"{path}: more than {MAX_ROWS} records in one file; split it")
            try:
                spans.append(_span(stream, at, size))
            except DataError as problem:
                return Index(spans, f"{path.name}: record {len(spans)} at byte {at} {problem}; copy the file again")
            at = spans[-1].start + spans[-1].n_bytes + _TAIL_BYTES
    return Index(spans)


def record(path: Path, span: Span) -> memoryview:
    """The bytes of a record. Raises DataError where they are too many, or not those that were written."""
    if span.n_bytes > MAX_RECORD_BYTES:
        raise DataError(f"a record of {span.n_bytes >> 20} MiB is larger than {MAX_RECORD_BYTES >> 20} MiB; split it")
    with path.open("rb") as stream:
        stream.seek(span.start)
        data = stream.read(span.n_bytes)
        tail = stream.read(_TAIL_BYTES)
    if len(data) != span.n_bytes or tail != masked_crc(data):
        raise DataError(f"the record at byte {span.start} is not what was written (its crc32c differs); copy it again")
    return memoryview(data)


def masked_crc(data: bytes) -> bytes:
    """crc32c, turned by 15 bits and moved: a crc of data that itself holds crcs is weak (record_writer.h)."""
    crc = google_crc32c.value(data)
    masked = (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF
    return masked.to_bytes(4, "little")


def _span(stream: BinaryIO, at: int, size: int) -> Span:
    stream.seek(at)
    head = stream.read(_HEAD_BYTES)
    if len(head) < _HEAD_BYTES:
        raise DataError("is cut off")
    if head[8:] != masked_crc(head[:8]):
        raise DataError("has a length that is not what was written (its crc32c differs)")
    (n_bytes,) = struct.unpack_from("<Q", head)
    if n_bytes > size - at - _HEAD_BYTES - _TAIL_BYTES:
        raise DataError(f"claims {n_bytes} bytes, more than the file has left")
    return Span(at + _HEAD_BYTES, n_bytes)
