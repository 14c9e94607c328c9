"""Plain tables (.npy, .npz, .csv), one episode a file, read only where a layout beside them says what columns mean.

folder/layout.yaml speaks for the tables of its folder, run.csv.layout.yaml for run.csv alone (table_layout.py).
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import numpy as np

from o2o_robot.data.action_range import ActionRange
from o2o_robot.data.formats import table_episode, table_file
from o2o_robot.data.formats.dataset import Format, Wishes
from o2o_robot.data.formats.demonstration import fingerprint, natural
from o2o_robot.data.formats.table_layout import FILE_SUFFIX, is_table, layout_of, load_layout
from o2o_robot.data.formats.unpromised_range import range_over
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode


class Part(NamedTuple):
    """An episode: a file, or a folder of arrays in an .npz; problem: why there is nothing to be read."""

    path: Path
    episode: str = ""
    problem: str = ""

    @property
    def id(self) -> str:
        return f"{self.path.stem}-{self.episode.replace('/', '-')}" if self.episode else self.path.stem


class Tables:
    """The episodes of a table, or of the tables of a folder in natural order. Opening reads the layout."""

    def __init__(self, path: Path) -> None:
        """Raises DataError where the layout is wrong, or no table fits it."""
        self.path = path
        self._layout_path = layout_of(path) or path
        self._layout = load_layout(self._layout_path)
        self.kind = f"table-{self._layout.name}"  # tables of two layouts share neither actions nor their range
        self._files = _tables(path, self._layout.files)
        if not self._files:
            raise DataError(f"{path}: no table fits files: '{self._layout.files}' of {self._layout_path.name}")
        self._parts = [part for file in self._files for part in _parts(file, self._layout.episodes)]

    def __len__(self) -> int:
        return len(self._parts)

    def fingerprint(self) -> str:
        """Of the layout too: read by another one, the same table is another episode."""
        return fingerprint([self._layout_path, *self._files])

    def action_range(self) -> ActionRange:
        """What the layout says, else over every table whose action can be read."""
        low, high = self._layout.action.low, self._layout.action.high
        if low:
            return ActionRange(np.array(low), np.array(high))
        return range_over((self._action_or_problem(part) for part in self._parts), where=str(self.path))

    def read(self, number: int, wishes: Wishes, action_range: ActionRange | None) -> Episode:
        """Episode `number`. wishes.state names fields of the layout; a table has no camera."""
        part = self._parts[number]
        rows = self._rows(part)
        try:
            return table_episode.build(rows, self._layout, id=part.id, wishes=wishes, action_range=action_range)
        except DataError as problem:
            raise DataError(f"{part.path.name}: {problem}") from None

    def _rows(self, part: Part) -> dict[str, Array]:
        if part.problem:
            raise DataError(part.problem)
        layout = self._layout
        return table_file.values(part.path, layout.columns, episode=part.episode, delimiter=layout.delimiter)

    def _action_or_problem(self, part: Part) -> Array | DataError:
        """What cannot be read is told of where its episode is asked for."""
        try:
            return table_episode.action(self._rows(part), self._layout)
        except DataError as problem:
            return problem


def _parts(path: Path, pattern: str) -> list[Part]:
    try:
        return [Part(path, episode) for episode in table_file.episodes(path, pattern)]
    except DataError as problem:
        return [Part(path, problem=str(problem))]


def _tables(path: Path, pattern: str) -> list[Path]:
    """The table itself, or those of a folder, leaving out what has a layout of its own."""
    if not path.is_dir():
        return [path]
    fitting = [each for each in path.iterdir() if is_table(each) and fnmatchcase(each.name, pattern)]
    shared = [each for each in fitting if not each.with_name(each.name + FILE_SUFFIX).is_file()]
    return sorted(shared, key=lambda each: natural(each.name))


def _recognises(path: Path) -> bool:
    try:
        return (path.is_dir() or is_table(path)) and layout_of(path) is not None
    except OSError:
        return False


FORMAT = Format("table", _recognises, Tables)
