"""The archive: an append-only zarr v3 store of whole episodes, safe against the death of its writer.

STORE/zarr.json                    schema and its version
STORE/writer.lock                  held (flock) by the one writer; death releases it
STORE/writing-000012/              an episode on its way in; never read
STORE/episodes/000012/zarr.json    written last: complete, n_steps, digest, meta
STORE/episodes/000012/{images,state}/<name>, stamp_ns, action, ...     the arrays of types.Episode

An episode is written aside, its marker last, then renamed into place: whole, or not there. Its arrays carry a digest
which `read` checks, so that what a power cut or a bad disk took is an error and never a wrong number.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from o2o_robot.data import episode as episodes_
from o2o_robot.data.zarr_v3 import read_array, read_attributes, write_array, write_group
from o2o_robot.errors import DataError, StoreError
from o2o_robot.types import Episode

SCHEMA = "o2o_robot.episodes"
SCHEMA_VERSION = 1
FRAMES_PER_CHUNK = 32  # sequential reads of images are fastest here; training samples from memory, never from the store


class EpisodeStore:
    """Whole episodes on disk, numbered from 0 in the order they were committed.

    with EpisodeStore.create("peg.zarr") as store:
        index = store.append(episode)          # on disk, whole, when this returns
    with EpisodeStore.open("peg.zarr") as store:
        for episode in store.episodes(): ...
    """

    def __init__(self, path: str | Path, *, mode: Literal["r", "a"] = "r", durable: bool = False) -> None:
        """Prefer `open` and `create`. durable: wait for the disk at each commit (survives a power cut; ~0.1 s)."""
        if mode not in ("r", "a"):
            raise StoreError(f"store mode '{mode}' is unknown; 'r' reads, 'a' appends")
        self.path = Path(path)
        self.repaired: tuple[str, ...] = ()
        self._durable = durable
        self._entries: list[tuple[Path, dict[str, Any]]] = []
        _check_schema(self.path)
        self._lock_fd: int | None = _lock(self.path) if mode == "a" else None
        if mode == "a":
            self.repaired = _repair(self.path)
        self.refresh()

    @classmethod
    def open(cls, path: str | Path, mode: Literal["r", "a"] = "r", *, durable: bool = False) -> EpisodeStore:
        """An existing store, to read ("r") or to append ("a"). Raises StoreError: missing, foreign, newer, locked.

        Opening to append removes what a dead writer left half-written; `repaired` names it.
        """
        return cls(path, mode=mode, durable=durable)

    @classmethod
    def create(cls, path: str | Path, *, durable: bool = False) -> EpisodeStore:
        """A new, empty store, open to append. Raises StoreError where something is there already."""
        path = Path(path)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise StoreError(f"{path} exists; open it with mode 'a' to append, or choose another path")
        with _as_store_error(path, "create the store"):
            write_group(path / "episodes")
            write_group(path, {"schema": SCHEMA, "schema_version": SCHEMA_VERSION})
        return cls(path, mode="a", durable=durable)

    @classmethod
    def open_or_create(cls, path: str | Path, *, durable: bool = False) -> EpisodeStore:
        """The store at `path`, open to append, made where it is not there."""
        is_there = (Path(path) / "zarr.json").exists()
        return cls.open(path, "a", durable=durable) if is_there else cls.create(path, durable=durable)

    def __len__(self) -> int:
        """Number of committed episodes (as of open, the last append or `refresh`)."""
        return len(self._entries)

    @property
    def n_steps(self) -> int:
        """Transitions in all committed episodes."""
        return sum(self.length(i) for i in range(len(self)))

    def append(self, episode: Episode) -> int:
        """Commit a whole episode; returns its index. Raises DataError (invalid), StoreError (read-only, disk full)."""
        if self._lock_fd is None:
            raise StoreError(f"{self.path} is open to read (or closed); open it with mode 'a' to append")
        episodes_.validate(episode)
        number = int(self._entries[-1][0].name) + 1 if self._entries else 0
        aside = self.path / f"writing-{number:06d}"
        final = self.path / "episodes" / f"{number:06d}"
        attributes = _marker(episode)
        try:
            with _as_store_error(self.path, "store an episode"):
                _write_episode(aside, episode, attributes)
                if self._durable:
                    _sync_tree(aside)
                aside.rename(final)
                if self._durable:
                    _sync(final.parent)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        self._entries.append((final, attributes))
        return len(self._entries) - 1

    def read(self, index: int) -> Episode:
        """Episode `index`, bit for bit as it was appended. Raises DataError where its files are damaged."""
        path, attributes = self._entry(index)
        try:
            named = {name: read_array(path / name) for name in _array_names(attributes)}
            episode = episodes_.from_arrays(named, attributes["meta"])
        except Exception as problem:  # codecs, JSON and NumPy each have their own; the user needs one line
            raise DataError(f"{path} cannot be read ({problem}); {_REMEDY}") from None
        if episodes_.digest(episode) != attributes["digest"]:
            raise DataError(f"{path} does not hold what was committed (digest differs); {_REMEDY}")
        return episode

    def episodes(self) -> Iterator[Episode]:
        """Every committed episode, in order, one in memory at a time."""
        return (self.read(i) for i in range(len(self)))

    def meta(self, index: int) -> dict[str, Any]:
        """The facts stored with episode `index`, without reading its arrays."""
        return dict(self._entry(index)[1]["meta"])

    def length(self, index: int) -> int:
        """Number of transitions of episode `index`, without reading its arrays."""
        return int(self._entry(index)[1]["n_steps"])

    def fingerprint(self) -> str:
        """A short hash of all committed arrays, in order: equal data has equal fingerprints on any machine."""
        total = hashlib.sha256("".join(attributes["digest"] for _, attributes in self._entries).encode())
        return total.hexdigest()[:16]

    def refresh(self) -> int:
        """See what another process has committed since; returns the number of episodes."""
        known = {path: attributes for path, attributes in self._entries}
        found = sorted(path for path in (self.path / "episodes").iterdir() if path.name.isdigit())
        marked = [(path, known.get(path) or read_attributes(path)) for path in found]
        self._entries = [(path, attributes) for path, attributes in marked if _is_complete(attributes) and attributes]
        return len(self)

    def close(self) -> None:
        """Let another writer in. Closing twice is fine."""
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def __enter__(self) -> EpisodeStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _entry(self, index: int) -> tuple[Path, dict[str, Any]]:
        if not 0 <= index < len(self):
            raise StoreError(f"episode {index} is not in {self.path}, which holds {len(self)} (0 to {len(self) - 1})")
        return self._entries[index]


_MARKS = ("complete", "n_steps", "digest", "images", "state", "meta")
_REMEDY = "delete that folder to go on without the episode, or record and ingest it again"


def _marker(episode: Episode) -> dict[str, Any]:
    """What the episode's own zarr.json says; its being there at all means that every array is."""
    return {
        "complete": True,
        "n_steps": len(episode),
        "digest": episodes_.digest(episode),
        "images": list(episode.images),
        "state": list(episode.state),
        "meta": json.loads(episodes_.meta_text(episode.meta)),
    }


def _array_names(attributes: dict[str, Any]) -> list[str]:
    """The paths of an episode's arrays, in the order they were given."""
    images = [f"images/{name}" for name in attributes["images"]]
    return [*images, *(f"state/{name}" for name in attributes["state"]), "stamp_ns", *episodes_.TRANSITION_FIELDS]


def _write_episode(path: Path, episode: Episode, attributes: dict[str, Any]) -> None:
    shutil.rmtree(path, ignore_errors=True)
    write_group(path / "images")
    write_group(path / "state")
    for name, array in episodes_.arrays(episode).items():
        write_array(path / name, array, rows_per_chunk=FRAMES_PER_CHUNK if name.startswith("images/") else None)
    write_group(path, attributes)


def _is_complete(attributes: dict[str, Any] | None) -> bool:
    return attributes is not None and all(key in attributes for key in _MARKS)


def _check_schema(path: Path) -> None:
    attributes = read_attributes(path)
    if attributes is None:
        found = "is not an episode store" if path.exists() else "does not exist"
        raise StoreError(f"{path} {found}; make one with `o2o ingest BAGS --out {path}`")
    if attributes.get("schema") != SCHEMA:
        raise StoreError(f"{path} is a zarr group of another kind; make a store with `o2o ingest BAGS --out STORE`")
    version = attributes.get("schema_version")
    if version != SCHEMA_VERSION:
        raise StoreError(f"{path} has schema version {version}, this software reads {SCHEMA_VERSION}; update it")


def _lock(path: Path) -> int:
    """Become the one writer; the lock dies with the process. Raises StoreError naming the other's process id."""
    try:
        descriptor = os.open(path / "writer.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as problem:
        raise StoreError(f"cannot open {path} to append ({problem.strerror}); open it with mode 'r' to read") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace") or "unknown"
        os.close(descriptor)
        raise StoreError(f"{path} is being written by process {holder}; stop it, or record to another store") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def _repair(path: Path) -> tuple[str, ...]:
    """Remove what a dead writer left half-written; returns the names of what went."""
    incomplete = [p for p in (path / "episodes").iterdir() if p.is_dir() and not _is_complete(read_attributes(p))]
    leftovers = sorted([*path.glob("writing-*"), *incomplete])
    for leftover in leftovers:
        shutil.rmtree(leftover)
    return tuple(leftover.name for leftover in leftovers)


@contextmanager
def _as_store_error(path: Path, doing: str) -> Iterator[None]:
    """Turn an operating system's refusal (full disk, no permission) into one line with a remedy."""
    try:
        yield
    except OSError as problem:
        is_full = problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        remedy = (
            "free some space; what was committed before is safe" if is_full else "check the path and its permissions"
        )
        raise StoreError(f"cannot {doing} in {path}: {problem.strerror or problem}; {remedy}") from None


def _sync_tree(path: Path) -> None:
    for folder, _, names in os.walk(path):
        for name in names:
            _sync(Path(folder) / name)
        _sync(Path(folder))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
