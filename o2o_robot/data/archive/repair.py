"""What a dead writer leaves behind in a store, and how it is removed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path


def is_unborn(path: Path) -> bool:
    """Whether a folder is empty, or holds only what a store's maker leaves when it dies before the store is one."""
    if not path.is_dir() or (path / "zarr.json").exists():
        return False
    inside = [*path.iterdir(), *(path / "episodes").glob("*")]
    return all(p == path / "episodes" or p == path / "episodes" / "zarr.json" or _is_scrap(p) for p in inside)


def repair(path: Path, unreadable: Iterable[str]) -> tuple[str, ...]:
    """Remove what is half-written or half-removed, and put aside episodes without a readable marker; their names."""
    for number in unreadable:
        (path / "episodes" / number).rename(path / f"damaged-{number}")
    leftovers = [*path.glob("writing-*"), *path.glob("deleting-*")]
    for leftover in leftovers:
        shutil.rmtree(leftover)
    for scrap in filter(_is_scrap, path.iterdir()):
        scrap.unlink()
    return tuple(sorted([*unreadable, *(leftover.name for leftover in leftovers)]))


def remove(path: Path, number: str) -> None:
    """Remove an episode's folder from the store at `path`: gone at once, and never seen by halves."""
    aside = path / f"deleting-{number}"
    (path / "episodes" / number).rename(aside)
    shutil.rmtree(aside)


def _is_scrap(path: Path) -> bool:
    """A zarr.json on its way in, which its writer did not live to rename."""
    return path.name.startswith(".zarr.json.")
