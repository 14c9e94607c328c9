"""The one writer of a store: a lock that dies with its process, and that a forked child does not inherit."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from o2o_robot.errors import StoreError

LOCK_NAME = "writer.lock"
_held: set[int] = set()


class WriterLock:
    """Held from the constructor to `release`, by the process that made it.

    Raises StoreError naming the process that has it. The file stays; what it says is who held it last.
    """

    def __init__(self, path: Path) -> None:
        self._pid = os.getpid()
        self._descriptor: int | None = _acquire(path)
        _held.add(self._descriptor)

    @property
    def is_ours(self) -> bool:
        """Whether this process may write: not after `release`, not in a child forked since."""
        return self._descriptor is not None and self._pid == os.getpid()

    def release(self) -> None:
        """Let another writer in. Releasing twice is fine, and a forked child has nothing to release."""
        if self._descriptor is not None and self.is_ours:
            _held.discard(self._descriptor)
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # at once, also where a child has not come to close its copy
            os.close(self._descriptor)
        self._descriptor = None


def _acquire(path: Path) -> int:
    try:
        descriptor = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as problem:
        raise StoreError(f"cannot open {path} to append ({problem.strerror}); open it with mode 'r' to read") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace") or "unknown"
        os.close(descriptor)
        raise StoreError(f"{path} is being written by process {holder}; stop it, or record to another store") from None
    _name_holder(descriptor)
    return descriptor


def _name_holder(descriptor: int) -> None:
    """For the refusal that another writer reads. Where a full disk has no room for it, the lock holds all the same."""
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    except OSError:
        pass


def _forget_in_child() -> None:
    """A lock belongs to the open file, which a fork shares: a child that outlives us would keep out the next writer."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)
