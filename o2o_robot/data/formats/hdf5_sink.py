"""Where an HDF5 file is written to. libhdf5 crashes the process when a full disk refuses what it flushes on closing."""

from __future__ import annotations

import io
from pathlib import Path

from o2o_robot.errors import DataError


class Hdf5Sink(io.RawIOBase):
    """A new file for h5py to write: after the first refusal it takes the rest and drops it, so that h5py can close.

    with Hdf5Sink(path) as sink:
        with h5py.File(sink, "w") as file: ...
        sink.check()                            # raises DataError where not all of it is on the disk
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError where the file cannot be made."""
        self._path = path
        self._file = path.open("w+b", buffering=0)
        self._problem: OSError | None = None

    def check(self) -> None:
        """Raises DataError where the operating system refused a write."""
        if self._problem is not None:
            raise DataError(f"cannot write {self._path.parent}: {self._problem.strerror}; free some space, try again")

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        rest = memoryview(data).cast("B")
        try:
            while len(rest) and self._problem is None:
                rest = rest[self._file.write(rest) :]
        except OSError as problem:
            self._problem = problem
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            return self._file.truncate(size)
        except OSError as problem:
            self._problem = self._problem or problem
            return size or 0

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._file.readinto(buffer) or 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()
