"""JSON on disk: a document written aside and renamed, and a log of one object a line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from o2o_robot.errors import DataError


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document so that a reader sees the old one or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(document, indent=2, default=_plain) + "\n")
    aside.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Raises DataError where the file is missing or is not a JSON object."""
    try:
        document = _parsed(path.read_text())
    except (OSError, ValueError, RecursionError) as problem:
        raise DataError(f"cannot read {path}: {problem}") from None
    if not isinstance(document, dict):
        raise DataError(f"{path} holds a {type(document).__name__}, a JSON object was expected")
    return document


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Add one object to a JSON-lines log; a crash can cut only the last line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as log:
        log.write(json.dumps(record, default=_plain) + "\n")


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole objects of a JSON-lines log; none where there is no file. A last line cut short is passed over."""
    if not path.exists():
        return
    for line in path.read_text().splitlines():
        try:
            record = _parsed(line)
        except (ValueError, RecursionError):
            return
        if isinstance(record, dict):
            yield record


def _parsed(text: str) -> Any:
    return json.loads(text, parse_int=_int64)


def _int64(digits: str) -> int:
    """A whole number as our writers have them: no array, float or plot takes more."""
    if len(digits) > 20 or not -(1 << 63) <= int(digits) < 1 << 64:
        raise ValueError(f"a number of {len(digits)} digits; 64 bits are read")
    return int(digits)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON-able")
