"""Steps on disk until everyone who must have them has them safe: numbered segments, a checksum for every record.

FOLDER/spool.json              {"format": 1, "run": id of the run}
FOLDER/000000000000.steps      a segment, named by the number of its first record (`segment.py`)

A record is the kernel's when `append` returns: it survives the death of the process, and of the machine after `sync`.
Only the newest segment can have a torn end (a crash while writing); opening cuts it off. The newest is never deleted,
so that an emptied spool still knows how far it had counted.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from o2o_robot import segment
from o2o_robot.errors import DataError, StoreError
from o2o_robot.jsonfile import read_json, write_json
from o2o_robot.segment import ENDING, Record

FORMAT, FACTS = 1, "spool.json"


class Spool:
    """Numbered records, appended by one process, read again by the same one, forgotten from the front.

        with Spool.open(folder, run=new_id, resume=True) as spool:
            number = spool.append(data, tally=n_transitions)
            for record in spool.read(first=12): ...
            spool.forget(before=number)          # everyone has these safe

    Numbers are 0, 1, 2, ... over the whole run, across restarts of the writer.
    """

    def __init__(self, folder: Path, *, run: str, segment_bytes: int, max_bytes: int) -> None:
        self.folder, self.run = folder, run
        self.next_number = self.tally = 0
        self.largest = 0  # bytes of the longest record written or found
        self._segment_bytes, self._max_bytes = segment_bytes, max_bytes
        self._sizes: dict[int, int] = {}  # first number -> bytes, oldest first; the last one is being written
        self._file = -1

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        run: str,
        resume: bool = False,
        segment_bytes: int = 8 << 20,
        max_bytes: int = 2 << 30,
    ) -> Spool:
        """A spool ready to write. resume: go on with the one in `folder` under its own run id, where there is one.

        run: id of a run that begins here; what an older run left in `folder` is deleted then. max_bytes: see `is_full`.
        Raises StoreError where the disk refuses, DataError where the folder holds a damaged spool.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        known = run_of(folder) if resume else ""
        spool = cls(folder, run=known or run, segment_bytes=segment_bytes, max_bytes=max_bytes)
        if not known:
            for path in segment.segments(folder):
                path.unlink()
            write_json(folder / FACTS, {"format": FORMAT, "run": run})
        spool._go_on()
        return spool

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def first_number(self) -> int:
        """Of the oldest record that may still be read; next_number where there is none."""
        return next(iter(self._sizes), 0)

    @property
    def n_bytes(self) -> int:
        """Of disk taken."""
        return sum(self._sizes.values())

    def is_full(self, more: int = 0) -> bool:
        """Whether `more` further records, each as long as the longest so far, would take it past max_bytes.

        Writing is not refused: a robot in the middle of a motion is not the place to stop. Ask before the next one.
        """
        return self.n_bytes + more * self.largest > self._max_bytes

    def append(self, data: bytes, *, tally: int = 0) -> int:
        """Put a record at the end and give its number. StoreError where it could not be written; nothing is torn."""
        if self._sizes[self._newest] > self._segment_bytes:
            self._begin_segment()
        record = segment.packed(self.next_number, tally, data)
        self._write(record)
        self.largest = max(self.largest, len(record))
        self.next_number, self.tally = self.next_number + 1, tally
        return self.next_number - 1

    def read(self, first: int, stop: int | None = None) -> Iterator[Record]:
        """Records first, ..., stop - 1 (all there are by then), from the oldest that is kept. DataError for damage."""
        stop = self.next_number if stop is None else min(stop, self.next_number)
        starts = list(self._sizes)
        for start, end in zip(starts, [*starts[1:], self.next_number], strict=True):
            if end > first and start < stop:
                for record in segment.records(self._path(start), end):
                    if first <= record.number < stop:
                        yield record

    def last(self) -> Record | None:
        """The newest record, if it is still here."""
        return next(self.read(self.next_number - 1), None) if self.next_number else None

    def forget(self, before: int) -> None:
        """Delete the segments whose every number is below `before`."""
        starts = list(self._sizes)
        for start, end in itertools.pairwise(starts):
            if end > before:
                return
            self._path(start).unlink(missing_ok=True)
            del self._sizes[start]

    def sync(self) -> None:
        """Have the disk itself take what was written: it then survives a power cut too."""
        os.fdatasync(self._file)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    @property
    def _newest(self) -> int:
        return next(reversed(self._sizes))

    def _path(self, start: int) -> Path:
        return self.folder / f"{start:012d}{ENDING}"

    def _go_on(self) -> None:
        """Take up what is in the folder: count on from the last whole record, and cut off a torn one."""
        paths = segment.segments(self.folder)
        while paths and paths[-1].stat().st_size < segment.HEAD.size:  # died while beginning it
            paths.pop().unlink()
        self._sizes = {int(path.stem): path.stat().st_size for path in paths}
        if not paths:
            self._begin_segment()
            return
        size, self.next_number, self.tally, self.largest = segment.whole_part(paths[-1])
        os.truncate(paths[-1], size)
        self._sizes[self._newest] = size
        self._file = os.open(paths[-1], os.O_WRONLY | os.O_APPEND)

    def _begin_segment(self) -> None:
        before, path = self._file, self._path(self.next_number)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        self._sizes[self.next_number] = 0
        try:
            self._write(segment.head(self.next_number, self.tally))
        except StoreError:
            os.close(self._file)
            path.unlink()
            del self._sizes[self.next_number]
            self._file = before
            raise
        if before >= 0:
            os.fdatasync(before)
            os.close(before)

    def _write(self, data: bytes) -> None:
        """All of it or nothing."""
        before = self._sizes[self._newest]
        try:
            written = os.write(self._file, data)
            if written < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as problem:
            os.ftruncate(self._file, before)
            raise StoreError(
                f"step {self.next_number} cannot be kept in {self.folder}: {problem.strerror}; make room on that disk, "
                "then resume the run"
            ) from None
        self._sizes[self._newest] = before + len(data)


def run_of(folder: str | Path) -> str:
    """Id of the run whose steps a folder keeps, or nothing where it is no spool. DataError for another format."""
    path = Path(folder) / FACTS
    if not path.is_file():
        return ""
    facts = read_json(path)
    if facts.get("format") != FORMAT or not isinstance(facts.get("run"), str):
        raise DataError(f"{path} has format {facts.get('format')}, this version reads {FORMAT}; move the folder away")
    return str(facts["run"])
