"""tf.train.Example and SequenceExample, from protobuf's wire format: named lists of bytes, floats or whole numbers.

Features are found first and unpacked only when asked for, so memory stays within a few times the size of a record
(tensorflow/core/example/{example,feature}.proto; both kinds of number list are declared packed there).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from o2o_robot.data.formats.demonstration import MAX_ROWS
from o2o_robot.errors import DataError
from o2o_robot.types import Array

Kind = Literal["bytes", "floats", "ints", ""]

MAX_FEATURES = 2_000
MAX_INT_BYTES = 8 << 20  # of a list of whole numbers, which unpack to about forty times their bytes on the way
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_SKIPPED_BYTES = {_FIXED64: 8, _FIXED32: 4}
_KINDS: Mapping[int, Kind] = {1: "bytes", 2: "floats", 3: "ints"}


class Field(NamedTuple):
    """A field of a message: its number, and its bytes where it has any of its own."""

    number: int
    data: memoryview


@dataclass(frozen=True)
class Feature:
    """A named list; pieces: the wire bytes of its parts, in order (one of an Example, one a row of a SequenceExample).

    kind "": it was written without saying what it is a list of, as an empty list may be.
    """

    kind: Kind
    pieces: list[memoryview] = field(default_factory=list)

    def numbers(self) -> Array:
        """Its floats (n,) float32, or whole numbers (n,) int64. Raises DataError: bytes, or too many whole numbers."""
        if self.kind == "bytes":
            raise DataError("holds bytes, not numbers")
        if self.kind == "ints" and self.n_bytes > MAX_INT_BYTES:
            raise DataError(f"has {self.n_bytes} bytes of whole numbers, more than {MAX_INT_BYTES}")
        values = [_floats(data) if self.kind == "floats" else _ints(data) for data in self._packed()]
        return np.concatenate(values) if values else np.zeros(0, np.float32)

    def texts(self) -> list[memoryview]:
        """Its strings of bytes, none copied. Raises DataError where it holds numbers."""
        if self.kind not in ("bytes", ""):
            raise DataError(f"holds {self.kind}, not bytes")
        found = []
        for data in self._packed():
            found.append(data)
            if len(found) > MAX_ROWS:
                raise DataError(f"has more than {MAX_ROWS} entries")
        return found

    @property
    def n_bytes(self) -> int:
        """Bytes on the wire."""
        return sum(map(len, self.pieces))

    def _packed(self) -> Iterator[memoryview]:
        return (each.data for piece in self.pieces for each in _fields(piece) if each.number == 1)


def features(data: memoryview) -> dict[str, Feature]:
    """Every feature of an Example, or of a SequenceExample: its context, and its lists as if under "steps/".

    Raises DataError where the bytes are neither.
    """
    found: dict[str, Feature] = {}
    n_pieces = 0
    for each in _fields(data):
        for name, value in _entries(each.data) if each.number in (1, 2) else ():
            if each.number == 1:
                found[name] = _feature([value])
            else:
                name = f"steps/{name.removeprefix('steps/')}"
                found[name] = _feature(part.data for part in _fields(value) if part.number == 1)
            n_pieces += len(found[name].pieces)
            if len(found) > MAX_FEATURES or n_pieces > MAX_ROWS:
                raise DataError(f"a record has more than {MAX_FEATURES} features or {MAX_ROWS} lists")
    return found


def _entries(data: memoryview) -> Iterator[tuple[str, memoryview]]:
    """Name and value of every entry of a map, which is field 1."""
    for entry in (each for each in _fields(data) if each.number == 1):
        parts = {part.number: part.data for part in _fields(entry.data) if part.number in (1, 2)}
        name = bytes(parts.get(1, b"")[:1000]).decode("utf-8", "replace")
        yield name, parts.get(2, memoryview(b""))


def _feature(messages: Iterable[memoryview]) -> Feature:
    """The Feature whose parts are these messages. Raises DataError where they are lists of different kinds."""
    kind: Kind = ""
    pieces: list[memoryview] = []
    for part in (part for message in messages for part in _fields(message)):
        found = _KINDS.get(part.number, "")
        if not found or found != (kind or found):
            raise DataError("a feature is a list of several kinds, or of none that is known")
        kind = found
        pieces.append(part.data)
        if len(pieces) > MAX_ROWS:
            raise DataError(f"a feature has more than {MAX_ROWS} lists")
    return Feature(kind, pieces)


def _fields(data: memoryview) -> Iterator[Field]:
    """The fields with bytes of a message; numbers are passed over. Raises DataError where one leaves the message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == _VARINT:
            _, at = _varint(data, at)
        elif wire == _LENGTH:
            n_bytes, at = _varint(data, at)
            if n_bytes > len(data) - at:
                raise DataError(f"a field claims {n_bytes} bytes where {len(data) - at} are left")
            yield Field(key >> 3, data[at : at + n_bytes])
            at += n_bytes
        elif wire in _SKIPPED_BYTES:
            at += _SKIPPED_BYTES[wire]
        else:
            raise DataError(f"wire type {wire} is none of protobuf's; this is no tf.train.Example")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number at `at`, and where the next thing begins."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
    raise DataError("a number does not end; this is no tf.train.Example")


def _floats(data: memoryview) -> Array:
    if len(data) % 4:
        raise DataError(f"a list of floats has {len(data)} bytes")
    return np.frombuffer(data, "<f4")


def _ints(data: memoryview) -> Array:
    """Packed varints as int64, without a loop: each byte's seven bits at their place, summed from end to end."""
    each = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(each < 128)
    if not len(ends) or ends[-1] != len(each) - 1:
        if not len(each):
            return np.zeros(0, np.int64)
        raise DataError("a list of whole numbers does not end")
    starts = np.concatenate([[0], ends[:-1] + 1])
    n_bytes = ends - starts + 1
    if n_bytes.max() > 10:
        raise DataError(f"a whole number of {n_bytes.max()} bytes is longer than 64 bits")
    place = (7 * (np.arange(len(each)) - np.repeat(starts, n_bytes))).astype(np.uint64)
    bits = (each & 127).astype(np.uint64) << place
    return np.add.reduceat(bits, starts).view(np.int64)
