"""Acting weights on disk, so that a policy can go back to what it was: one safetensors and one JSON file a revision."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from o2o_robot.errors import CheckpointError, DataError
from o2o_robot.jsonfile import read_json, write_json

LATEST = 3


class Kept(NamedTuple):
    """Acting weights as safetensors bytes, and how many updates of its run the learner had made for them."""

    revision: int
    learner_step: int
    data: bytes


class KeptWeights:
    """The last three accepted, and those that are still needed.

        kept = KeptWeights(run_dir / "weights")
        kept.add(Kept(120, 100, data), needed={0, 40})
        kept.read(40).data

    Without a folder they are held in memory. Each file is written aside and renamed, the JSON with the sha256 last.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._in_memory: dict[int, Kept] = {}
        self._pinned: set[int] = set()
        self._latest: list[int] = []

    @property
    def revisions(self) -> list[int]:
        """Of all that are kept, ascending."""
        on_disk = self._folder.glob("*.json") if self._folder else ()
        return sorted({*self._in_memory, *(int(path.stem) for path in on_disk if path.stem.isdigit())})

    def pin(self, kept: Kept) -> None:
        """Keep these in memory for good: the pretrained ones, which have a checkpoint of their own."""
        self._pinned.add(kept.revision)
        self._in_memory[kept.revision] = kept

    def add(self, kept: Kept, *, needed: Collection[int]) -> None:
        """Keep these; let go of all but the three latest, the needed ones and the pinned."""
        if self._folder is None:
            self._in_memory[kept.revision] = kept
        else:
            _write(self._folder, kept)
        self._latest = [*self._latest, kept.revision][-LATEST:]
        for revision in set(self.revisions) - {*self._latest, *needed, *self._pinned}:
            self._let_go(revision)

    def read(self, revision: int) -> Kept:
        """CheckpointError where they are not kept, or not as they were written."""
        if revision in self._in_memory:
            return self._in_memory[revision]
        if self._folder is None:
            raise CheckpointError(f"weights of revision {revision} are not kept; there are {self.revisions}")
        path = self._folder / f"{revision}.safetensors"
        try:
            facts, data = read_json(path.with_suffix(".json")), path.read_bytes()
        except (DataError, OSError) as problem:
            raise CheckpointError(f"weights of revision {revision} are not kept: {problem}") from None
        if hashlib.sha256(data).hexdigest() != facts.get("sha256"):
            raise CheckpointError(f"{path} has changed since it was written; remove it, another is used")
        return Kept(revision, int(facts.get("learner_step", 0)), data)

    def _let_go(self, revision: int) -> None:
        self._in_memory.pop(revision, None)
        if self._folder is not None:
            for suffix in (".json", ".safetensors"):
                (self._folder / f"{revision}{suffix}").unlink(missing_ok=True)


def _write(folder: Path, kept: Kept) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kept.revision}.safetensors"
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(kept.data)
    aside.replace(path)
    facts = {"revision": kept.revision, "learner_step": kept.learner_step}
    write_json(path.with_suffix(".json"), {**facts, "sha256": hashlib.sha256(kept.data).hexdigest()})
