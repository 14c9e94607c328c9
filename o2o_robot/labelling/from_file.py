"""Labels from a file: CSV `episode,outcome[,reward][,note]`, or the same in JSON."""

from __future__ import annotations

import csv
import difflib
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from o2o_robot.data.labels import Correction, OutcomeWord
from o2o_robot.errors import DataError
from o2o_robot.labelling.overview import Entry

MAX_FILE_BYTES = 64 << 20
_LARGEST = 1e30  # far inside float32, in which rewards are stored
COLUMNS = ("episode", "outcome", "reward", "note")
WORDS: tuple[OutcomeWord, ...] = ("success", "failure", "unknown")


class Row(NamedTuple):
    """A row as it stands in the file; cells may be missing, place says where it stands."""

    place: str
    cells: Mapping[str, Any]


class Labels(NamedTuple):
    """What a file says: a correction by index in the store, and a line for each row that cannot be followed."""

    corrections: dict[int, Correction]
    problems: tuple[str, ...]


def read_labels(path: Path, entries: Sequence[Entry], *, who: str, at: str) -> Labels:
    """The corrections that a CSV or JSON file asks for. Raises DataError where it is neither, or has no such columns.

    episode: an id, or the number in the store. outcome: success, failure, unknown, or empty for the one it has now.
    reward: one number, for the last step (0 before), or one a step, in CSV apart by spaces. Empty: as the outcome says.
    """
    rows = list(_rows(path))
    where, named, problems = _Where(entries), set[int](), list[str]()
    corrections: dict[int, Correction] = {}
    for row in rows:
        try:
            entry = where.find(str(row.cells.get("episode", "")).strip())
            if entry.index in named:
                corrections.pop(entry.index, None)  # nobody can tell which of the two is meant
                raise DataError(f"'{entry.id}' is named twice; leave one of the two")
            named.add(entry.index)
            corrections[entry.index] = _correction(row.cells, entry, who=who, at=at)
        except DataError as problem:
            problems.append(f"{row.place}: {problem}")
    return Labels(corrections, tuple(problems))


class _Where:
    """Finds an episode by its id, or by its number."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._by_id: dict[str, list[Entry]] = {}
        for entry in entries:
            self._by_id.setdefault(entry.id, []).append(entry)
        self._by_number = {int(entry.number): entry for entry in entries}

    def find(self, name: str) -> Entry:
        if not name:
            raise DataError("no episode is named")
        same = self._by_id.get(name, [])
        if len(same) > 1:
            numbers = ", ".join(str(int(entry.number)) for entry in same)
            raise DataError(f"'{name}' is the id of {len(same)} episodes; name them by number: {numbers}")
        if same:
            return same[0]
        if name.isascii() and name.isdigit() and len(name) <= 12 and int(name) in self._by_number:
            return self._by_number[int(name)]
        near = difflib.get_close_matches(name, self._by_id, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise DataError(f"'{name[:80]}' is neither an id nor a number of an episode in the store{hint}")


def _correction(cells: Mapping[str, Any], entry: Entry, *, who: str, at: str) -> Correction:
    outcome = _outcome(cells.get("outcome"))
    reward = _reward(cells.get("reward"), entry.n_steps)
    if outcome is None and reward is None:
        raise DataError("neither outcome nor reward is given")
    note = str(cells.get("note") or "").strip()
    return Correction(outcome or entry.outcome, reward, "file", who, at, note=note)


def _outcome(cell: Any) -> OutcomeWord | None:
    word = str(cell if cell is not None else "").strip().lower()
    if word and word not in WORDS:
        near = difflib.get_close_matches(word, WORDS, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise DataError(f"outcome '{word[:40]}' is not one of {', '.join(WORDS)}{hint}")
    return word or None


def _reward(cell: Any, n_steps: int) -> tuple[float, ...] | None:
    if cell is None or cell == "":
        return None
    given = cell if isinstance(cell, list) else str(cell).split()
    try:
        numbers = tuple(float(number) for number in given)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"reward '{str(cell)[:40]}' is not a number, nor numbers apart by spaces") from None
    if not all(math.isfinite(number) and abs(number) <= _LARGEST for number in numbers):
        raise DataError(f"reward '{str(cell)[:40]}' is not finite, or too large to be one")
    if len(numbers) not in (1, n_steps):
        raise DataError(f"{len(numbers)} rewards for {n_steps} steps; give one a step, or one for the last step")
    return numbers if len(numbers) == n_steps else (*([0.0] * (n_steps - 1)), numbers[0])


def _rows(path: Path) -> Iterator[Row]:
    text = _text(path)
    if path.suffix.lower() == ".json":
        yield from _json_rows(path, text)
        return
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        _require_columns(header, path)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) > len(header):
                raise DataError(f"{path}, line {reader.line_num} has {len(cells)} cells, the header {len(header)}")
            yield Row(f"line {reader.line_num}", dict(zip(header, cells, strict=False)))
    except csv.Error as problem:
        raise DataError(f"{path}, line {reader.line_num} is not CSV: {problem}") from None


def _json_rows(path: Path, text: str) -> Iterator[Row]:
    """A list of objects, or an object of episodes: {"ep-7": "success", "ep-8": {"outcome": "failure"}}."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise DataError(f"{path} is not JSON: {problem}") from None
    if isinstance(content, dict):
        content = [{"episode": name, **(v if isinstance(v, dict) else {"outcome": v})} for name, v in content.items()]
    if not isinstance(content, list) or not all(isinstance(cells, dict) for cells in content):
        raise DataError(f"{path} holds neither a list of objects with {', '.join(COLUMNS)} nor an object of episodes")
    for number, cells in enumerate(content, start=1):
        _require_columns(list(cells), path)
        yield Row(f"entry {number}", cells)


def _require_columns(names: Sequence[str], path: Path) -> None:
    unknown = [str(name)[:40] for name in names if name not in COLUMNS]
    if unknown or "episode" not in names or len(set(names)) < len(names):
        found = ", ".join(str(name)[:40] for name in names[:8]) or "nothing"
        raise DataError(f"{path} has the columns {found}; episode is needed, outcome, reward and note are allowed")


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise DataError(f"{path} has {size} bytes, at most {MAX_FILE_BYTES} are read; split it")
        return path.read_text(encoding="utf-8-sig")
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; save the table as CSV in UTF-8") from None
