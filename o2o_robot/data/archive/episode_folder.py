"""One episode as a folder of zarr arrays: written aside and renamed into place, read back against its digest."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.data import episode as episodes_
from o2o_robot.data.archive.zarr_v3 import array_facts, read_array, read_attributes, write_array, write_group
from o2o_robot.errors import DataError, StoreError
from o2o_robot.types import Array, Episode

FRAMES_PER_CHUNK = 32  # sequential reads of images are fastest here; training samples from memory, never from the store
LABELLED = ("reward", "terminated", "truncated")  # the arrays that a correction may change
_N_THREADS = 4  # the digest, and two cameras packed beside it
_SMALL_BYTES = 8 << 20  # less is written sooner by one thread, above all where the cores have other work
_MARKS = {"complete": bool, "n_steps": int, "digest": str, "images": list, "state": list, "meta": dict}
_REMEDY = "`o2o store delete` it to go on without the episode, or record and ingest it again"


class Entry(NamedTuple):
    """A committed episode: its folder, and what its marker says."""

    path: Path
    marker: dict[str, Any]

    @property
    def number(self) -> str:
        """The name of the folder, like "000012"; no other episode of the store ever has it."""
        return self.path.name

    @property
    def array_names(self) -> list[str]:
        """The paths of the arrays, in the order they were given."""
        images = [f"images/{name}" for name in self.marker["images"]]
        state = [f"state/{name}" for name in self.marker["state"]]
        return [*images, *state, "stamp_ns", *episodes_.TRANSITION_FIELDS]


class ArrayLayout(NamedTuple):
    """What an array is, less its number of rows: the shape of one row, and the dtype's name."""

    row_shape: tuple[int, ...]
    dtype: str


def entry_at(path: Path) -> Entry | None:
    """The episode of a folder; None where its marker is missing, cut short, or not one that is written here."""
    marker = read_attributes(path)
    if marker is None or not all(isinstance(marker.get(key), kind) for key, kind in _MARKS.items()):
        return None
    names = [*marker["images"], *marker["state"]]
    return Entry(path, marker) if all(episodes_.is_plain_name(name) for name in names) else None


def write(path: Path, episode: Episode) -> dict[str, Any]:
    """Write all of an episode, its marker last; returns what the marker says. Raises OSError."""
    shutil.rmtree(path, ignore_errors=True)
    write_group(path / "images")
    write_group(path / "state")
    marker = _marker(episode, _write_arrays(path, episode))
    write_group(path, marker)
    return marker


def _write_arrays(path: Path, episode: Episode) -> str:
    """All arrays of an episode; its digest."""
    arrays = episodes_.arrays(episode)
    if sum(array.nbytes for array in arrays.values()) < _SMALL_BYTES:
        for name, array in arrays.items():
            _write_array(path, name, array)
        return episodes_.digest(episode)
    with ThreadPoolExecutor(_N_THREADS) as pool:  # hashing, packing and writing all let go of the interpreter
        digest = pool.submit(episodes_.digest, episode)
        for done in [pool.submit(_write_array, path, *item) for item in arrays.items()]:
            done.result()
        return digest.result()


def read(entry: Entry) -> Episode:
    """The episode of a folder. Raises DataError where its files are damaged, StoreError where it is gone."""
    named = {name: read_field(entry, name) for name in entry.array_names}
    episode = episodes_.from_arrays(named, entry.marker["meta"])
    if episodes_.digest(episode) != entry.marker["digest"]:
        raise DataError(f"{entry.path} does not hold what was committed (digest differs); {_REMEDY}")
    return episode


def read_field(entry: Entry, name: str) -> Array:
    """One array of an episode, its chunks checked. Raises DataError where damaged, StoreError where it is gone."""
    try:
        array = read_array(entry.path / name)
    except Exception as problem:  # codecs, JSON and NumPy each have their own; the user needs one line
        if not entry.path.exists():
            raise StoreError(f"{entry.path} was removed since the store was opened; open it again") from None
        raise DataError(f"{entry.path} cannot be read ({name}: {problem}); {_REMEDY}") from None
    if len(array) != rows(entry, name):
        raise DataError(f"{entry.path} has {len(array)} rows of {name}, not {rows(entry, name)}; {_REMEDY}")
    return array


def rows(entry: Entry, name: str) -> int:
    """T for what belongs to a transition, T + 1 for what was observed."""
    return int(entry.marker["n_steps"]) + (name not in episodes_.TRANSITION_FIELDS)


def without_observations(entry: Entry) -> Episode:
    """What a correction looks at: the rewards, the ends and the meta of an episode; its other arrays are empty."""
    n_steps = int(entry.marker["n_steps"])
    read = {name: read_field(entry, name) for name in LABELLED}
    empty = {name: np.zeros((n_steps, 0)) for name in (*episodes_.TRANSITION_FIELDS, "stamp_ns")}
    return episodes_.from_arrays({**empty, **read}, entry.marker["meta"])


def layout(entry: Entry) -> dict[str, ArrayLayout]:
    """Path -> layout of every array, without reading one. Raises DataError where a file is damaged."""
    try:
        found = {name: array_facts(entry.path / name) for name in entry.array_names}
    except (OSError, ValueError, DataError) as problem:
        raise DataError(f"{entry.path} cannot be read ({problem}); {_REMEDY}") from None
    return {name: ArrayLayout(facts.shape[1:], facts.dtype.name) for name, facts in found.items()}


@contextmanager
def written_aside(aside: Path, store: Path) -> Iterator[None]:
    """Errors of the disk in one line, and nothing left aside."""
    try:
        with as_store_error(store, "store an episode"):
            yield
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


@contextmanager
def as_store_error(path: Path, doing: str) -> Iterator[None]:
    """Turn an operating system's refusal (full disk, no permission) into one line with a remedy."""
    try:
        yield
    except OSError as problem:
        is_full = problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        remedy = (
            "free some space; what was committed before is safe" if is_full else "check the path and its permissions"
        )
        raise StoreError(f"cannot {doing} in {path}: {problem.strerror or problem}; {remedy}") from None


def renamed(path: Path, final: Path) -> bool:
    """Move a folder at once; False where the two places are on different file systems."""
    try:
        path.rename(final)
    except OSError as problem:
        if problem.errno != errno.EXDEV:
            raise
        return False
    return True


def sync_tree(path: Path) -> None:
    """Wait until all of a folder is on the disk."""
    for folder, _, names in os.walk(path):
        for name in names:
            sync(Path(folder) / name)
        sync(Path(folder))


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_array(path: Path, name: str, array: Array) -> None:
    write_array(path / name, array, rows_per_chunk=FRAMES_PER_CHUNK if name.startswith("images/") else None)


def _marker(episode: Episode, digest: str) -> dict[str, Any]:
    """What the episode's own zarr.json says; its being there at all means that every array is."""
    return {
        "complete": True,
        "n_steps": len(episode),
        "digest": digest,
        "images": list(episode.images),
        "state": list(episode.state),
        "meta": json.loads(episodes_.meta_text(episode.meta)),
    }
