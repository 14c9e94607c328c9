"""An append-only log of JSON objects, one a line, each with a checksum: what a store's tombstones are kept in.

A line is whole once its newline is there. A writer's death can cut only the last line, which nobody was told of: it is
passed over by readers and removed by the next `append`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from o2o_robot.errors import DataError, StoreError

MAX_LINE_BYTES = 1 << 20
MAX_LOG_BYTES = 1 << 30
_BLOCK_BYTES = 1 << 12


def append(
    path: Path, content: Mapping[str, Any], *, durable: bool = False, max_line_bytes: int = MAX_LINE_BYTES
) -> None:
    """Add one object; it is in the file when this returns (on the disk itself where durable).

    Raises DataError (too long a line), StoreError where the disk refuses; the log is then as it was.
    """
    line = json.dumps({**content, "sha256": _sha256(content)}).encode() + b"\n"
    if len(line) > max_line_bytes:
        raise DataError(f"a line of {len(line)} bytes is more than the {max_line_bytes} that {path} may have")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _write_after(descriptor, _whole_bytes(descriptor), line, durable=durable)
        finally:
            os.close(descriptor)
    except OSError as problem:
        raise StoreError(f"cannot write to {path}: {problem.strerror}; free some space and try again") from None


def read(path: Path, *, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[dict[str, Any]]:
    """Every object, oldest first; none where there is no file. Raises DataError naming the line that is damaged."""
    if not path.exists():
        return
    if path.stat().st_size > MAX_LOG_BYTES:
        raise DataError(f"{path} has {path.stat().st_size} bytes, at most {MAX_LOG_BYTES} are read; it is not a log")
    with path.open("rb") as log:
        for number, line in enumerate(iter(lambda: log.readline(max_line_bytes), b""), start=1):
            if not line.endswith(b"\n") and len(line) < max_line_bytes:
                return
            yield _parse(line, where=f"{path}, line {number}")


def _parse(line: bytes, *, where: str) -> dict[str, Any]:
    try:
        content = json.loads(line)
        told = content.pop("sha256")
        is_whole = told == _sha256(content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DataError(f"{where} is not what was written; remove that line to do without it") from None
    if not is_whole:
        raise DataError(f"{where} is not what was written (its sha256 differs); remove that line to do without it")
    return content


def _sha256(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(dict(content), sort_keys=True).encode()).hexdigest()[:16]


def _whole_bytes(descriptor: int) -> int:
    """How many bytes of the log are whole lines: all but a last one that a writer's death cut short."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _BLOCK_BYTES)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _write_after(descriptor: int, n_whole: int, line: bytes, *, durable: bool) -> None:
    """`line` in the place of what is cut short after n_whole bytes; cut off again where the disk refuses it."""
    os.ftruncate(descriptor, n_whole)  # a torn line may be longer than the one that takes its place
    try:
        written = 0
        while written < len(line):
            written += os.pwrite(descriptor, line[written:], n_whole + written)
        if durable:
            os.fsync(descriptor)
    except BaseException:
        os.ftruncate(descriptor, n_whole)
        raise
