"""Arrays in an unnamed file instead of in memory: as large as the disk, and gone with the last who holds them."""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from pathlib import Path

import numpy as np

from o2o_robot.errors import StoreError
from o2o_robot.types import Array


def mapped(shape: tuple[int, ...], folder: Path) -> Array:
    """Room for a uint8 array on the disk of `folder`. Raises StoreError where it is full."""
    n_bytes = int(np.prod(shape))
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            # claimed at once: a disk that is full is an error here, at a later write through the map it is fatal
            getattr(os, "posix_fallocate", _without_claim)(file.fileno(), 0, n_bytes)
        except OSError as problem:
            raise StoreError(
                f"{folder}: no room for {n_bytes >> 20} MiB of pictures ({problem.strerror}); free some, or split the "
                "recording"
            ) from None
        return np.frombuffer(mmap.mmap(file.fileno(), n_bytes), np.uint8).reshape(shape)


def _without_claim(file: int, start: int, n_bytes: int) -> None:
    os.ftruncate(file, start + n_bytes)


def let_go(array: Array) -> None:
    """Give the memory of a mapped array back; it is in its file, and comes again when it is looked at.

    Of other arrays nothing happens. Call it while going through a long one, so that not all of it is held at once.
    """
    base = array
    while isinstance(base.base, np.ndarray):
        base = base.base
    if isinstance(base.base, memoryview) and isinstance(base.base.obj, mmap.mmap):
        with contextlib.suppress(AttributeError):  # a system without madvise keeps the pages while it likes
            base.base.obj.madvise(mmap.MADV_DONTNEED)
