"""Episodes that were deleted from a store: one line says so, a later one may take it back. Nothing is rewritten.

STORE/tombstones.jsonl    {"number": "000012", "deleted": true, "reason": "lens covered", "at": "...", "sha256": "..."}
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from o2o_robot.data.archive import line_log
from o2o_robot.errors import DataError, StoreError

LOG_NAME = "tombstones.jsonl"
NUMBER = re.compile(r"[0-9]{6,12}")


class Tombstone(NamedTuple):
    """Why an episode was deleted, and when (ISO time, as the caller told it)."""

    reason: str
    at: str = ""


def bury(store_path: Path, number: str, tombstone: Tombstone, *, durable: bool = False) -> None:
    """Log that the episode of this number is deleted. The caller holds the store's writer lock."""
    if not tombstone.reason.strip():
        raise StoreError(f"episode {number} needs a reason to be deleted; say what is wrong with it")
    line_log.append(store_path / LOG_NAME, {"number": number, "deleted": True, **tombstone._asdict()}, durable=durable)


def revive(store_path: Path, number: str, *, at: str = "", durable: bool = False) -> None:
    """Log that the episode of this number is back. The caller holds the store's writer lock."""
    line_log.append(store_path / LOG_NAME, {"number": number, "deleted": False, "at": at}, durable=durable)


def read_log(store_path: Path) -> dict[str, Tombstone]:
    """The episodes deleted and not taken back, by number. Raises DataError naming the line that is damaged."""
    found: dict[str, Tombstone] = {}
    for number, line in enumerate(line_log.read(store_path / LOG_NAME), start=1):
        name = line.get("number")
        if not isinstance(name, str) or not NUMBER.fullmatch(name):
            raise DataError(f"{store_path / LOG_NAME}, line {number} names no episode; remove that line")
        found.pop(name, None)
        if line.get("deleted"):
            found[name] = Tombstone(str(line.get("reason", "")), str(line.get("at", "")))
    return found
