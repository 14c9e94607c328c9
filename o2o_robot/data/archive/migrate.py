"""What version of the schema a store has, and how an older one becomes this one, in place.

version 1    episodes/NNNNNN; blosc-zstd frames
version 2    tombstones.jsonl, labels.jsonl, next_number; zstd frames, checksums; meta["provenance"]

Each step prepares what the next version has beside what is there, then replaces STORE/zarr.json at once. Killed at any
instant, the store is of the old version or of the new one, and the step can be taken again. No episode is rewritten.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from o2o_robot.data.archive import numbering
from o2o_robot.data.archive.episode_folder import as_store_error
from o2o_robot.data.archive.zarr_v3 import read_attributes, write_group
from o2o_robot.errors import StoreError

SCHEMA = "o2o_robot.episodes"
SCHEMA_VERSION = 2


class Migrated(NamedTuple):
    """The version that was found, and the one that is there now."""

    found: int
    now: int


def found_version(path: Path) -> int:
    """The store's schema version, one that can be read. Raises StoreError: missing, of another kind, or newer."""
    attributes = read_attributes(path)
    if attributes is None:
        found = "is not an episode store" if path.exists() else "does not exist"
        raise StoreError(f"{path} {found}; make one with `o2o ingest BAGS --out {path}`")
    if attributes.get("schema") != SCHEMA:
        raise StoreError(f"{path} is a zarr group of another kind; make a store with `o2o ingest BAGS --out STORE`")
    version = attributes.get("schema_version")
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= SCHEMA_VERSION:
        told = f"{path} has schema version {version}, this software reads 1 to {SCHEMA_VERSION}"
        raise StoreError(f"{told}; update it with `pip install -U o2o_robot`")
    return version


def migrate(path: Path) -> Migrated:
    """Bring the store to this version. The caller holds its writer lock. Raises StoreError where the disk refuses."""
    found = found_version(path)
    for version in range(found, SCHEMA_VERSION):
        with as_store_error(path, f"migrate to schema version {version + 1}"):
            _STEPS[version](path)
            write_root(path, version + 1)
    return Migrated(found, SCHEMA_VERSION)


def write_root(path: Path, version: int = SCHEMA_VERSION) -> None:
    """The store's own zarr.json, replaced at once."""
    attributes: dict[str, Any] = {"schema": SCHEMA, "schema_version": version}
    write_group(path, attributes)


def _to_2(path: Path) -> None:
    """Version 1 took the number after its last folder, which version 2 takes from here on from a file."""
    numbering.reserve(path, numbering.next_number(path))


_STEPS: dict[int, Callable[[Path], None]] = {1: _to_2}
