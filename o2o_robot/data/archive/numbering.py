"""The numbers of a store's episodes: each given once, also where the episode that had it is gone.

STORE/next_number    the lowest number that was never given; written before an episode appears under it
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from o2o_robot.data import labels
from o2o_robot.data.archive import tombstones

FILE_NAME = "next_number"
_N_DIGITS = 12


def name(number: int) -> str:
    """The folder of episode `number`: 12 -> "000012"."""
    return f"{number:06d}"


def folders(path: Path) -> list[Path]:
    """The numbered folders of the store's episodes, in order of their numbers."""
    found = (folder for folder in (path / "episodes").iterdir() if tombstones.NUMBER.fullmatch(folder.name))
    return sorted(found, key=lambda folder: int(folder.name))


def next_number(path: Path) -> int:
    """The lowest number that no episode of the store ever had, from all that would remember one."""
    seen: Iterable[str] = [folder.name for folder in folders(path)]
    seen = [*seen, *tombstones.read_log(path), *labels.read_log(path)]
    return max(_reserved(path), max((int(number) + 1 for number in seen), default=0))


def reserve(path: Path, following: int, *, durable: bool = False) -> None:
    """Every number below `following` counts as given from here on. Raises OSError.

    Thirteen bytes written over themselves: a process that dies does so before them or after.
    """
    descriptor = os.open(path / FILE_NAME, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.pwrite(descriptor, f"{following:0{_N_DIGITS}d}\n".encode(), 0)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reserved(path: Path) -> int:
    """0 where the file is not there, or a power cut emptied it: the folders and logs remember enough then."""
    try:
        return int((path / FILE_NAME).read_bytes()[: _N_DIGITS + 1])
    except (OSError, ValueError):
        return 0
