"""HIL-SERL's and SERL's pickles: lists of transitions {observations, actions, next_observations, rewards, masks, ...}.

A folder is one dataset: its files in natural order (transitions_2000 before transitions_10000), since an episode may go
on in the next file. Two transitions belong to one episode only where the next observation of the first is the
observation of the second, bit for bit: so nothing is stitched across a gap, in whatever way the files were cut. In
these files a time limit, an abort and a success are all written as done with mask 0: an episode is terminated only
where it also ends in its higher reward (demonstration.outcome_from_reward); every other end is truncated.
Of a stack of frames (S, H, W, 3), or of states (S, k), the newest is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.data.action_range import ActionRange
from o2o_robot.data.formats import restricted_pickle
from o2o_robot.data.formats.dataset import Format, Wishes
from o2o_robot.data.formats.demonstration import (
    MAX_ROWS,
    Demonstration,
    check_size,
    choose,
    episode_of,
    fingerprint,
    natural,
    outcome_from_reward,
    plain_name,
    range_of,
    resized,
    stamps_ns,
)
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode, Outcome

_SUFFIXES = (".pkl", ".pickle")
_NOTES = (".txt", ".md", ".json", ".yaml", ".yml")
_HZ = 10.0  # the control rate of HIL-SERL's robots; the files hold no stamps
_NEEDED = ("observations", "next_observations", "actions")


class Transition(NamedTuple):
    """One step: observations by key, pixels (H, W, 3) uint8 or numbers (k,); is_end: done, or mask 0."""

    seen: Mapping[str, Array]
    then: Mapping[str, Array]
    action: Array
    reward: float
    is_end: bool


class Piece(NamedTuple):
    """Transitions [start, stop) of file number `file`: an episode, or a part of one."""

    file: int
    start: int
    stop: int


class HilSerl:
    """The episodes of a file or folder of pickles. Opening reads every file once, one in memory at a time."""

    kind = "hilserl"

    def __init__(self, path: Path) -> None:
        """Raises DataError naming the file that is not a list of transitions."""
        self.path = path
        self._files = _files(path)
        self._in_memory: tuple[int, list[Transition]] = (-1, [])
        self._episodes: list[list[Piece]] = []
        self._action_ends: list[Array] = []
        self._scan()
        if not self._episodes:
            raise DataError(f"{path}: there is no transition in its {len(self._files)} files")

    def __len__(self) -> int:
        return len(self._episodes)

    def fingerprint(self) -> str:
        return fingerprint(self._files)

    def action_range(self) -> ActionRange | None:
        return range_of(self._action_ends)

    def read(self, number: int, wishes: Wishes, action_range: ActionRange | None) -> Episode:
        steps = [step for piece in self._episodes[number] for step in self._load(piece.file)[piece.start : piece.stop]]
        where = f"{self.path.stem}-{number}"
        first = steps[0].seen
        pictures = [key for key in first if _is_picture(first[key])]
        vectors = [key for key in first if first[key].ndim == 1]
        cameras = choose(pictures, wishes.cameras, what="camera", where=where)
        fields = choose(vectors, wishes.state, what="state field", where=where)
        check_size(len(steps) + 1, wishes.image_side, len(cameras), 0, where=where)
        seen = [*(step.seen for step in steps), steps[-1].then]
        side = wishes.image_side
        reward = np.array([step.reward for step in steps])
        is_told = steps[-1].is_end and outcome_from_reward(reward) is Outcome.SUCCESS
        demonstration = Demonstration(
            id=where,
            images={plain_name(k): _rows(seen, k, lambda frame: resized(frame[None], side)[0]) for k in cameras},
            state={plain_name(k): _rows(seen, k, lambda values: values) for k in fields},
            stamp_ns=stamps_ns(len(seen), _HZ),
            action=np.stack([step.action for step in steps]),
            reward=reward,
            outcome=Outcome.SUCCESS if is_told else Outcome.INCOMPLETE,
        )
        return episode_of(demonstration, wishes, action_range)

    def _scan(self) -> None:
        """Finds the episodes; an end is a done, or an observation that the next transition does not go on from."""
        before: Transition | None = None
        for number in range(len(self._files)):
            for index, step in enumerate(self._load(number)):
                if before is None or before.is_end or not _same(before.then, step.seen):
                    self._episodes.append([])
                    self._action_ends.append(np.stack([step.action, step.action]))
                self._take(number, index, step)
                before = step
        self._in_memory = (-1, [])

    def _take(self, number: int, index: int, step: Transition) -> None:
        pieces, ends = self._episodes[-1], self._action_ends[-1]
        width = self._action_ends[0].shape[1]
        if len(step.action) != width:
            raise DataError(
                f"{self._files[number]}: transition {index} has {len(step.action)} action values, the first has {width}"
            )
        np.minimum(ends[0], step.action, out=ends[0])
        np.maximum(ends[1], step.action, out=ends[1])
        if pieces and pieces[-1].file == number:
            pieces[-1] = pieces[-1]._replace(stop=index + 1)
        else:
            pieces.append(Piece(number, index, index + 1))

    def _load(self, number: int) -> list[Transition]:
        """The transitions of a file; the last file read is kept."""
        if self._in_memory[0] != number:
            self._in_memory = (-1, [])
            path = self._files[number]
            self._in_memory = (number, list(_transitions(restricted_pickle.load(path), str(path))))
        return self._in_memory[1]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted((each for each in path.iterdir() if _is_pickle(each)), key=lambda each: natural(each.name))


def _transitions(data: Any, where: str) -> Iterator[Transition]:
    """From a list of transitions (HIL-SERL), or a dict of arrays with a row each (jaxrl)."""
    if isinstance(data, dict):
        data = _unstacked(data, where)
    if not isinstance(data, list) or len(data) > MAX_ROWS:
        raise DataError(f"{where}: expected a list of up to {MAX_ROWS} transitions, got {type(data).__name__}")
    for index, each in enumerate(data):
        try:
            yield _transition(each)
        except (DataError, ValueError, TypeError, OverflowError) as problem:
            raise DataError(f"{where}: transition {index}: {str(problem)[:200]}") from None


def _unstacked(columns: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    arrays = {key: value for key, value in columns.items() if isinstance(value, np.ndarray) and value.ndim}
    lengths = {key: len(arrays[key]) for key in (*_NEEDED, "rewards", "masks", "dones") if key in arrays}
    if len(set(lengths.values())) != 1:
        raise DataError(f"{where}: a dict of arrays needs {', '.join(_NEEDED)} of one length, it has {lengths}")
    return [{key: arrays[key][row] for key in lengths} for row in range(min(next(iter(lengths.values())), MAX_ROWS))]


def _transition(data: Any) -> Transition:
    if not isinstance(data, dict):
        raise DataError(f"expected a dict, got {type(data).__name__}")
    missing = [key for key in _NEEDED if key not in data]
    if missing:
        raise DataError(f"lacks {', '.join(missing)} (it has {', '.join(map(str, list(data)[:12]))})")
    action = np.asarray(data["actions"], np.float64).reshape(-1)
    if not action.size:
        raise DataError("has an empty action")
    is_done = bool(np.asarray(data.get("dones", False)).any())
    mask = float(np.asarray(data.get("masks", 1.0), np.float64).reshape(-1)[0])
    reward = float(np.asarray(data.get("rewards", 0.0), np.float64).reshape(-1)[0])
    seen, then = _observation(data["observations"]), _observation(data["next_observations"])
    return Transition(seen, then, action, reward, is_done or mask == 0.0)


def _observation(data: Any) -> dict[str, Array]:
    held = data if isinstance(data, dict) else {"state": data}
    kinds = np.ndarray | np.generic | float | int
    return {str(key): _newest(np.atleast_1d(value)) for key, value in held.items() if isinstance(value, kinds)}


def _newest(value: Array) -> Array:
    """The newest of a stack: (S, H, W, 3) -> (H, W, 3), (S, k) -> (k,)."""
    return value[-1] if value.ndim in (2, 4) and len(value) else value


def _is_picture(value: Array) -> bool:
    return value.dtype == np.uint8 and value.ndim == 3 and value.shape[2] in (1, 3)


def _same(one: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    return one.keys() == other.keys() and all(
        value is other[key] or np.array_equal(value, other[key]) for key, value in one.items()
    )


def _rows(seen: list[Mapping[str, Array]], key: str, of: Callable[[Array], Array]) -> Array:
    """Rows of one key, in order. Raises DataError where an observation lacks it, or has it in another shape."""
    shape = seen[0][key].shape
    odd = next((row for row, each in enumerate(seen) if key not in each or each[key].shape != shape), None)
    if odd is not None:
        raise DataError(f"observation {odd} has '{key}' of another shape than {shape}, or not at all")
    return np.stack([of(each[key]) for each in seen])


def _is_pickle(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and path.is_file()


def _recognises(path: Path) -> bool:
    """A pickle, or a folder of nothing but pickles and notes: one of recordings may hold a stray pickle as well."""
    try:
        held = [each for each in path.iterdir() if not each.name.startswith(".")] if path.is_dir() else [path]
    except OSError:
        return False
    beside = [each for each in held if not _is_pickle(each)]
    return len(held) > len(beside) and all(each.suffix.lower() in _NOTES and each.is_file() for each in beside)


FORMAT = Format("HIL-SERL pickle", _recognises, HilSerl)
