"""The archive: an append-only zarr v3 store of whole episodes, safe against the death of its writer.

STORE/zarr.json                    schema and its version (migrate.py)
STORE/writer.lock                  held (flock) by the one writer; death releases it
STORE/next_number                  the number that the next episode gets; none is given twice
STORE/tombstones.jsonl             which episodes were deleted, and why
STORE/labels.jsonl                 what was corrected about an episode since it was recorded
STORE/writing-000012/              an episode on its way in; never read
STORE/deleting-000012/             a deleted episode on its way out; never read
STORE/damaged-000012/              an episode whose marker a power cut took, put aside by the next writer
STORE/episodes/000012/zarr.json    written last: complete, n_steps, digest, meta
STORE/episodes/000012/{images,state}/<name>, stamp_ns, action, ...     the arrays of types.Episode

An episode is written aside, its marker last, then renamed into place: whole, or not there. Its arrays carry a digest
which `read` checks, so that what a power cut or a bad disk took is an error and never a wrong number. Nothing that was
committed is rewritten: deleting and correcting each add a line to a log, and `compact` alone frees space.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple

from o2o_robot.data import episode as episodes_
from o2o_robot.data import labels, provenance
from o2o_robot.data.archive import episode_folder, migrate, numbering, repair, tombstones
from o2o_robot.data.archive.episode_folder import Entry
from o2o_robot.data.archive.migrate import SCHEMA, SCHEMA_VERSION
from o2o_robot.data.archive.store_reader import StoreReader
from o2o_robot.data.archive.tombstones import Tombstone
from o2o_robot.data.archive.writer_lock import WriterLock
from o2o_robot.data.archive.zarr_v3 import write_group
from o2o_robot.data.labels import Correction
from o2o_robot.errors import StoreError
from o2o_robot.types import Episode

__all__ = ["SCHEMA", "SCHEMA_VERSION", "Compacted", "EpisodeStore"]


class Compacted(NamedTuple):
    """What compaction removed: the numbers of the episodes, and the bytes they took."""

    numbers: tuple[str, ...]
    n_bytes: int


class EpisodeStore(StoreReader):
    """Whole episodes on disk, in the order they were committed.

    with EpisodeStore.create("peg.zarr") as store:
        index = store.append(episode)          # on disk, whole, when this returns
    with EpisodeStore.open("peg.zarr") as store:
        for episode in store.episodes(): ...
        returns = [reward.sum() for reward in store.field("reward")]     # reads nothing else

    An episode's index counts those that are not deleted, so it moves when an earlier one is; its number does not.
    """

    def __init__(self, path: str | Path, *, mode: Literal["r", "a"] = "r", durable: bool = False) -> None:
        """Prefer `open` and `create`. durable: wait for the disk at each commit (survives a power cut; ~0.1 s)."""
        if mode not in ("r", "a"):
            raise StoreError(f"store mode '{mode}' is unknown; 'r' reads, 'a' appends")
        super().__init__(Path(path))
        self.repaired: tuple[str, ...] = ()
        self._durable = durable
        self._turn = threading.RLock()
        self._lock: WriterLock | None = None
        self.migrated_from = migrate.found_version(self.path)
        try:
            self._open(mode)
        except BaseException:
            self.close()
            raise

    def _open(self, mode: str) -> None:
        if mode == "a":
            self._lock = WriterLock(self.path)
            self.migrated_from = migrate.migrate(self.path).found  # another writer may have done so meanwhile
            self._next_number = numbering.next_number(self.path)
        self.refresh()
        if mode == "a":
            with episode_folder.as_store_error(self.path, "repair the store"):
                self.repaired = repair.repair(self.path, self.unreadable)
            self.refresh()

    @classmethod
    def open(cls, path: str | Path, mode: Literal["r", "a"] = "r", *, durable: bool = False) -> EpisodeStore:
        """An existing store, to read ("r") or to append ("a"). Raises StoreError: missing, foreign, newer, locked.

        Opening to append removes what a dead writer left half-written (`repaired` names it), and brings a store of an
        older schema to this one (`migrated_from` is what it was).
        """
        return cls(path, mode=mode, durable=durable)

    @classmethod
    def create(cls, path: str | Path, *, durable: bool = False) -> EpisodeStore:
        """A new, empty store, open to append. Raises StoreError where something is there already."""
        path = Path(path)
        if path.exists() and not repair.is_unborn(path):
            raise StoreError(f"{path} exists; open it with mode 'a' to append, or choose another path")
        with episode_folder.as_store_error(path, "create the store"):
            write_group(path / "episodes")
            migrate.write_root(path)
        return cls(path, mode="a", durable=durable)

    @classmethod
    def open_or_create(cls, path: str | Path, *, durable: bool = False) -> EpisodeStore:
        """The store at `path`, open to append, made where it is not there."""
        is_there = (Path(path) / "zarr.json").exists()
        return cls.open(path, "a", durable=durable) if is_there else cls.create(path, durable=durable)

    def append(self, episode: Episode) -> int:
        """Commit a whole episode; returns its index. Raises DataError (invalid), StoreError (read-only, disk full)."""
        self._must_write()
        episodes_.validate(episode)
        provenance.check(episode.meta)
        with self._turn:
            aside = self._aside()
            with episode_folder.written_aside(aside, self.path):
                marker = episode_folder.write(aside, episode)
                final = self._settle(aside)
            return self._committed(Entry(final, marker))

    def adopt(self, other: EpisodeStore, *, move: bool = False, only: Sequence[int] | None = None) -> list[int]:
        """Take in the committed episodes of `other` in its order, corrections with them; their indices here.

        Each is checked against its digest first. only: indices of `other`, without it all. move: leave nothing of them
        in `other`, which must then be open to append too; quick on one file system. Killed half-way, a second call with
        move takes the rest. Raises DataError at an episode that is damaged, StoreError as `append`.
        """
        self._must_write()
        if other.path.resolve() == self.path.resolve():
            raise StoreError(f"{self.path} cannot adopt its own episodes; give it another store")
        if move:
            other._must_write()
        chosen = [other._entry(i) for i in (range(len(other)) if only is None else only)]
        history: dict[str, list[Correction]] = {}
        for line in labels.history(other.path):
            history.setdefault(line.number, []).append(line.correction)
        with self._turn:
            try:
                return [self._adopt(entry, history.get(entry.number, []), move=move) for entry in chosen]
            finally:
                other.refresh()

    def delete(self, index: int, reason: str, *, at: str = "") -> str:
        """Take episode `index` out of all that is read, by a tombstone; returns its number. `undelete` takes it back.

        at: when, in ISO time.
        """
        self._must_write()
        with self._turn:
            number = self.number(index)
            tombstone = Tombstone(reason, at)
            tombstones.bury(self.path, number, tombstone, durable=self._durable)
            self._deleted[number] = tombstone
            del self._entries[index]
        return number

    def undelete(self, number: str, *, at: str = "") -> int:
        """Take back the deletion of the episode of this number; returns its index. Raises StoreError: compacted."""
        self._must_write()
        with self._turn:
            self.check_undelete([number])
            tombstones.revive(self.path, number, at=at, durable=self._durable)
            self.refresh()
            return self.index(number)

    def check_undelete(self, numbers: Iterable[str]) -> None:
        """Raises StoreError naming the first of `numbers` that is not deleted, or is gone from the disk."""
        for number in numbers:
            if number not in self._deleted:
                known = ", ".join(self._deleted) or "none"
                raise StoreError(f"episode {number} of {self.path} is not deleted; deleted ones: {known}")
            if not (self.path / "episodes" / number).exists():
                raise StoreError(f"episode {number} of {self.path} was compacted away; ingest its source again")

    def compact(self) -> Compacted:
        """Remove deleted episodes from the disk, for good. Killed half-way, the next open or call does the rest."""
        self._must_write()
        with self._turn, episode_folder.as_store_error(self.path, "remove deleted episodes"):
            gone = [folder for folder in numbering.folders(self.path) if folder.name in self._deleted]
            n_bytes = sum(_n_bytes(folder) for folder in gone)
            for folder in gone:
                repair.remove(self.path, folder.name)
        return Compacted(tuple(folder.name for folder in gone), n_bytes)

    def correct(self, index: int, correction: Correction) -> None:
        """Lay a correction over episode `index`, in place of any before it. Raises DataError where it does not fit."""
        self._must_write()
        with self._turn:
            entry = self._entry(index)
            labels.apply(episode_folder.without_observations(entry), correction)
            labels.append(self.path, entry.number, correction, durable=self._durable)
            self._labels[entry.number] = correction

    def close(self) -> None:
        """Let another writer in. Closing twice is fine."""
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> EpisodeStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _must_write(self) -> None:
        if self._lock is None or not self._lock.is_ours:
            raise StoreError(f"{self.path} is open to read (or closed, or forked); open it with mode 'a' to append")

    def _aside(self) -> Path:
        return self.path / f"writing-{numbering.name(self._next_number)}"

    def _reserve(self) -> Path:
        """The folder of a number that is given from here on, whatever becomes of what gets it."""
        number = self._next_number
        numbering.reserve(self.path, number + 1, durable=self._durable)
        self._next_number = number + 1
        return self.path / "episodes" / numbering.name(number)

    def _settle(self, aside: Path, final: Path | None = None) -> Path:
        """Rename a whole folder into place, after it reached the disk where the store is durable."""
        if self._durable:
            episode_folder.sync_tree(aside)
        final = final or self._reserve()
        aside.rename(final)
        return final

    def _committed(self, entry: Entry) -> int:
        if self._durable:
            episode_folder.sync(entry.path.parent)
        self._entries.append(entry)
        return len(self) - 1

    def _adopt(self, entry: Entry, history: Sequence[Correction], *, move: bool) -> int:
        """A correction is logged first, for a number that nothing else can get: no instant shows one without it."""
        episode_folder.read(entry)
        with episode_folder.as_store_error(self.path, "adopt an episode"):
            final = self._reserve()
            for correction in history:
                labels.append(self.path, final.name, correction, durable=self._durable)
                self._labels[final.name] = correction
            if not (move and episode_folder.renamed(entry.path, final)):
                self._copy(entry.path, final)
                if move:
                    repair.remove(entry.path.parent.parent, entry.number)
            return self._committed(Entry(final, entry.marker))

    def _copy(self, folder: Path, final: Path) -> None:
        aside = self.path / f"writing-{final.name}"
        with episode_folder.written_aside(aside, self.path):
            shutil.copytree(folder, aside)
            self._settle(aside, final)


def _n_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
