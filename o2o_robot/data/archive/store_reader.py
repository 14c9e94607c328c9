"""What can be asked of a store: episodes, single arrays of all of them, facts, and a fingerprint of it all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from o2o_robot.data import labels
from o2o_robot.data.archive import episode_folder, numbering, tombstones
from o2o_robot.data.archive.episode_folder import ArrayLayout, Entry
from o2o_robot.data.archive.tombstones import Tombstone
from o2o_robot.data.labels import Correction
from o2o_robot.errors import StoreError
from o2o_robot.types import Array, Episode


class StoreReader:
    """The committed episodes of a folder that are not deleted, as of `refresh`; `store.EpisodeStore` opens one.

    unreadable: numbers of the episodes whose marker cannot be read, which the next writer puts aside.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unreadable: tuple[str, ...] = ()
        self._entries: list[Entry] = []
        self._deleted: dict[str, Tombstone] = {}
        self._labels: dict[str, Correction] = {}

    def __len__(self) -> int:
        """Number of committed episodes that are not deleted (as of open, the last change or `refresh`)."""
        return len(self._entries)

    @property
    def n_steps(self) -> int:
        """Transitions in all committed episodes."""
        return sum(self.length(i) for i in range(len(self)))

    @property
    def deleted(self) -> dict[str, Tombstone]:
        """The episodes that were deleted, by number, those that `compact` removed among them."""
        return dict(self._deleted)

    def read(self, index: int, *, corrected: bool = True) -> Episode:
        """Episode `index` with what was corrected since, or (corrected=False) bit for bit as it was appended.

        Raises DataError where its files are damaged.
        """
        entry = self._entry(index)
        episode = episode_folder.read(entry)
        return labels.apply(episode, self._labels[entry.number]) if self._is_labelled(entry, corrected) else episode

    def episodes(self, *, corrected: bool = True) -> Iterator[Episode]:
        """Every committed episode, in order, one in memory at a time."""
        return (self.read(i, corrected=corrected) for i in range(len(self)))

    def fields(self) -> tuple[str, ...]:
        """The arrays that every episode has: "images/wrist", "state/q_rad", "action", ...; none in an empty store."""
        names = [entry.array_names for entry in self._entries]
        return tuple(name for name in names[0] if all(name in others for others in names)) if names else ()

    def field(self, name: str, *, corrected: bool = True) -> Iterator[Array]:
        """One array of every episode, in order, reading no other: (T, ...), or (T + 1, ...) of what was observed.

        Raises StoreError where an episode has no such array; DataError, while iterating, where one is damaged.
        """
        for i, entry in enumerate(self._entries):
            if name not in entry.array_names:
                there = ", ".join(self.fields()) or "none in common"
                raise StoreError(f"episode {i} of {self.path} has no '{name}'; all episodes have: {there}")
        return (self._field(entry, name, corrected=corrected) for entry in self._entries)

    def concatenated(self, name: str, *, corrected: bool = True) -> Array:
        """`field` as one array, episode after episode. Raises StoreError where that is of no one shape."""
        parts = self.field(name, corrected=corrected)
        layouts = {self.layout(i)[name] for i in range(len(self))}
        if len(layouts) != 1:
            shown = " and ".join(str(one) for one in sorted(layouts)) or "no episode"
            raise StoreError(f"'{name}' of {self.path} is {shown}; take it an episode at a time with field('{name}')")
        n_rows = sum(episode_folder.rows(entry, name) for entry in self._entries)
        (row_shape, dtype), start = layouts.pop(), 0
        whole = np.empty((n_rows, *row_shape), dtype)
        for part in parts:
            whole[start : start + len(part)] = part
            start += len(part)
        return whole

    def layout(self, index: int) -> dict[str, ArrayLayout]:
        """Path -> row shape and dtype of the arrays of episode `index`, without reading one."""
        return episode_folder.layout(self._entry(index))

    def meta(self, index: int, *, corrected: bool = True) -> dict[str, Any]:
        """The facts stored with episode `index`, without reading its arrays."""
        entry = self._entry(index)
        meta = dict(entry.marker["meta"])
        is_labelled = self._is_labelled(entry, corrected)
        return labels.corrected_meta(meta, self._labels[entry.number]) if is_labelled else meta

    def length(self, index: int) -> int:
        """Number of transitions of episode `index`, without reading its arrays."""
        return int(self._entry(index).marker["n_steps"])

    def number(self, index: int) -> str:
        """The name that episode `index` keeps for as long as the store lives, like "000012"."""
        return self._entry(index).number

    def digest(self, index: int) -> str:
        """sha256 of the arrays of episode `index` as they were appended."""
        return str(self._entry(index).marker["digest"])

    def index(self, number: str) -> int:
        """Where the episode of this number is now. Raises StoreError where there is none, or it was deleted."""
        for i, entry in enumerate(self._entries):
            if entry.number == number:
                return i
        found = f"was deleted ({self._deleted[number].reason})" if number in self._deleted else "is not there"
        raise StoreError(f"episode {number} of {self.path} {found}; `o2o store list {self.path}` shows the numbers")

    def correction(self, index: int) -> Correction | None:
        """What was last corrected about episode `index`; None where nothing ever was."""
        return self._labels.get(self.number(index))

    def fingerprint(self) -> str:
        """A short hash of all committed arrays in order, and of their corrections: equal on any machine."""
        total = hashlib.sha256("".join(self._mark(entry) for entry in self._entries).encode())
        return total.hexdigest()[:16]

    def refresh(self) -> int:
        """See what another process has done since; returns the number of episodes."""
        known = {entry.path: entry for entry in self._entries}
        self._deleted, self._labels = tombstones.read_log(self.path), labels.read_log(self.path)
        alive = [folder for folder in numbering.folders(self.path) if folder.name not in self._deleted]
        found = {folder: known.get(folder) or episode_folder.entry_at(folder) for folder in alive}
        self._entries = [entry for entry in found.values() if entry is not None]
        self.unreadable = tuple(folder.name for folder, entry in found.items() if entry is None)
        return len(self)

    def _entry(self, index: int) -> Entry:
        if not 0 <= index < len(self):
            raise StoreError(f"episode {index} is not in {self.path}, which holds {len(self)} (0 to {len(self) - 1})")
        return self._entries[index]

    def _is_labelled(self, entry: Entry, corrected: bool) -> bool:
        return corrected and entry.number in self._labels

    def _field(self, entry: Entry, name: str, *, corrected: bool) -> Array:
        if name in episode_folder.LABELLED and self._is_labelled(entry, corrected):
            return getattr(labels.apply(episode_folder.without_observations(entry), self._labels[entry.number]), name)
        return episode_folder.read_field(entry, name)

    def _mark(self, entry: Entry) -> str:
        """What an episode adds to the fingerprint: an uncorrected one the same as before there were corrections."""
        correction = self._labels.get(entry.number)
        if correction is None or correction.is_recorded:
            return str(entry.marker["digest"])
        return str(entry.marker["digest"]) + json.dumps([correction.outcome, correction.reward])
