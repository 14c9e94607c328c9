"""RLDS datasets as TFDS keeps them (Open X-Embodiment): TFRecord files, an episode a record; no TensorFlow needed.

A folder is one dataset: its files in natural order, all splits. A file that is damaged or cut off keeps the episodes
before the damage, and stands for one more, which tells what is wrong when it is read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from o2o_robot.data.action_range import ActionRange
from o2o_robot.data.formats import rlds_episode
from o2o_robot.data.formats.dataset import Format, Wishes
from o2o_robot.data.formats.demonstration import fingerprint, natural
from o2o_robot.data.formats.rlds_example import features
from o2o_robot.data.formats.rlds_info import Info, read_info
from o2o_robot.data.formats.rlds_record import Index, Span, index, record
from o2o_robot.data.formats.unpromised_range import range_over
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode

_NAME = re.compile(r"\.tfrecord(-[0-9]{5}-of-[0-9]{5})?$")


class Place(NamedTuple):
    """Where an episode lies; problem: why nothing is there to be read."""

    path: Path
    number: int
    span: Span
    problem: str = ""

    @property
    def id(self) -> str:
        """bridge_dataset-train-00000-of-00001-7"""
        return f"{self.path.name.replace('.tfrecord', '')}-{self.number}"


class Rlds:
    """The episodes of a file or folder. Opening reads the heads of the records alone."""

    kind = "rlds"

    def __init__(self, path: Path) -> None:
        """Raises DataError where there is no record, or features.json is no JSON."""
        self.path = path
        self._files = _files(path)
        self._info = read_info(path if path.is_dir() else path.parent)
        self._places = [place for file in self._files for place in _places(file, index(file), self._info)]
        if not self._places:
            raise DataError(f"{path}: there is no record in its {len(self._files)} files")

    def __len__(self) -> int:
        return len(self._places)

    def fingerprint(self) -> str:
        return fingerprint(self._files)

    def action_range(self) -> ActionRange:
        """Over every record whose actions can be read; reads each record once."""
        return range_over((self._actions_or_problem(place) for place in self._places), where=str(self.path))

    def read(self, number: int, wishes: Wishes, action_range: ActionRange | None) -> Episode:
        """Episode `number`. wishes.cameras and .state name keys of steps/observation."""
        place = self._places[number]
        if place.problem:
            raise DataError(place.problem)
        try:
            return rlds_episode.build(
                features(record(place.path, place.span)),
                id=place.id,
                widths=self._info.widths,
                wishes=wishes,
                action_range=action_range,
                facts={"file": place.path.name},
            )
        except DataError as problem:
            raise DataError(f"{place.path.name}: record {place.number}: {problem}") from None

    def _actions_or_problem(self, place: Place) -> Array | DataError:
        """What cannot be read is told of where its episode is asked for."""
        if place.problem:
            return DataError(place.problem)
        try:
            return rlds_episode.rows_of(features(record(place.path, place.span)), self._info.widths).action
        except DataError as problem:
            return problem


def _places(path: Path, found: Index, info: Info) -> list[Place]:
    """A place for each record of a file, and one more where records are lost."""
    places = [Place(path, number, span) for number, span in enumerate(found.spans)]
    stated, problem = info.n_records(path.name), found.problem
    if not problem and stated is not None and stated != len(places):
        problem = f"{path.name} has {len(places)} records, dataset_info.json says {stated}; copy the file again"
    return [*places, Place(path, len(places), Span(0, 0), problem)] if problem else places


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted((each for each in path.iterdir() if _is_records(each)), key=lambda each: natural(each.name))


def _is_records(path: Path) -> bool:
    return bool(_NAME.search(path.name)) and path.is_file()


def _recognises(path: Path) -> bool:
    try:
        return any(map(_is_records, path.iterdir())) if path.is_dir() else _is_records(path)
    except OSError:
        return False


FORMAT = Format("RLDS", _recognises, Rlds)
