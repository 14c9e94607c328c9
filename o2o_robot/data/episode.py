"""Whole episodes: what makes one valid, its arrays by name, and how one is built from a stream of Steps."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from o2o_robot.data.archive.mapped import let_go
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode, Mode, ObservationSpec, Source, Step

# Fields of T rows: dtype, and whether a row is a vector of n_action values.
TRANSITION_FIELDS: dict[str, tuple[type, bool]] = {
    "action": (np.float32, True),
    "proposed": (np.float32, True),
    "reward": (np.float32, False),
    "terminated": (np.bool_, False),
    "truncated": (np.bool_, False),
    "reasons": (np.uint32, False),
    "source": (np.uint8, False),
    "revision": (np.int64, False),
}
_ROWS_AT_ONCE = 256
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def validate(episode: Episode) -> None:
    """Raises DataError naming the array, what it is, and what an Episode promises (see types.Episode)."""
    n_steps = len(np.asarray(episode.action))
    if n_steps < 1:
        raise DataError("action has no rows; an episode needs at least one transition")
    for name, array in arrays(episode).items():
        _check_rows(name, array, n_steps)
        _check_finite(name, array)
    if episode.proposed.shape != episode.action.shape:
        raise DataError(f"proposed has shape {episode.proposed.shape}, action {episode.action.shape}; they must agree")
    if (np.diff(episode.stamp_ns) < 0).any():
        row = int(np.argmax(np.diff(episode.stamp_ns) < 0)) + 1
        raise DataError(f"stamp_ns goes back in time at row {row}; observations must be in order of their stamps")
    _check_end(episode)
    meta_text(episode.meta)


def demonstrated(
    images: Mapping[str, Array],
    state: Mapping[str, Array],
    stamp_ns: Array,
    action: Array,
    reward: Array,
    *,
    is_success: bool,
    meta: Mapping[str, Any],
) -> Episode:
    """A person's episode that no guard judged and no policy proposed, valid; arrays as in types.Episode.

    A success terminates it. Any other end, also a failure, is truncated: cut off, its value goes on at the reward of
    not succeeding. Raises DataError where it is not valid.
    """
    n_steps = len(action)
    last = np.arange(n_steps) == n_steps - 1
    episode = Episode(
        images=images,
        state=state,
        stamp_ns=stamp_ns,
        action=action,
        proposed=action.copy(),
        reward=reward,
        terminated=last & is_success,
        truncated=last & (not is_success),
        reasons=np.zeros(n_steps, np.uint32),
        source=np.full(n_steps, Source.TELEOP, np.uint8),
        revision=np.zeros(n_steps, np.int64),
        meta={"mode": Mode.DEMO.value, "seed": -1, **meta},
    )
    validate(episode)
    return episode


def arrays(episode: Episode) -> dict[str, Array]:
    """Every array of the episode by its path: "images/<camera>", "state/<field>", "stamp_ns", "action", ..."""
    named = {f"images/{name}": image for name, image in episode.images.items()}
    named |= {f"state/{name}": values for name, values in episode.state.items()}
    named["stamp_ns"] = episode.stamp_ns
    return named | {name: getattr(episode, name) for name in TRANSITION_FIELDS}


def from_arrays(named: Mapping[str, Array], meta: Mapping[str, Any]) -> Episode:
    """The Episode whose `arrays` are `named`. Raises DataError where one is missing."""
    missing = [name for name in ("stamp_ns", *TRANSITION_FIELDS) if name not in named]
    if missing:
        raise DataError(f"an episode lacks {', '.join(missing)}; it was not written by this software")
    images = {name.removeprefix("images/"): a for name, a in named.items() if name.startswith("images/")}
    state = {name.removeprefix("state/"): a for name, a in named.items() if name.startswith("state/")}
    rest = {name: named[name] for name in ("stamp_ns", *TRANSITION_FIELDS)}
    return Episode(images=images, state=state, meta=dict(meta), **rest)


def digest(episode: Episode) -> str:
    """sha256 of every array's name, dtype, shape and bytes; meta is left out."""
    total = hashlib.sha256()
    for name, array in sorted(arrays(episode).items()):
        total.update(f"{name} {array.dtype.str} {array.shape};".encode())
        for start in range(0, len(array), _ROWS_AT_ONCE):  # not all of a mapped array in memory at once
            total.update(np.ascontiguousarray(array[start : start + _ROWS_AT_ONCE]).data)
            let_go(array)
    return total.hexdigest()


def fields(episode: Episode) -> dict[str, tuple[tuple[int, ...], str]]:
    """Path -> (shape, dtype) of every array, for people."""
    return {name: (array.shape, str(array.dtype)) for name, array in arrays(episode).items()}


def full_spec(episode: Episode) -> ObservationSpec:
    """The ObservationSpec of all that this episode holds. Raises DataError where images are not square and alike."""
    sides = {image.shape[1:3] for image in episode.images.values()}
    if len(sides) > 1 or any(height != width for height, width in sides):
        shown = {name: image.shape[1:3] for name, image in episode.images.items()}
        raise DataError(f"images are {shown} (height, width); a policy needs them square and alike, resize at ingest")
    side = next(iter(sides))[0] if sides else 0
    proprio = tuple((name, int(values.shape[1])) for name, values in episode.state.items())
    return ObservationSpec(cameras=tuple(episode.images), image_size=int(side), proprio=proprio)


def is_plain_name(name: object) -> bool:
    """Whether `name` may name a camera or a state field: it becomes the name of a folder, wherever it came from."""
    return isinstance(name, str) and bool(_PLAIN_NAME.fullmatch(name))


def meta_text(meta: Mapping[str, Any]) -> str:
    """`meta` as JSON. Raises DataError naming what JSON cannot hold (arrays, NaN)."""
    try:
        return json.dumps(dict(meta), allow_nan=False, sort_keys=True)
    except (TypeError, ValueError) as problem:
        raise DataError(f"meta cannot be written as JSON: {problem}; use plain numbers, strings, lists") from None


class EpisodeBuilder:
    """Builds one Episode from its Steps, in order.

    builder = EpisodeBuilder("ep-7")
    for step in stream:
        builder.add(step)
        if builder.is_whole:
            episode = builder.build(meta={"mode": "demo"})
    """

    def __init__(self, episode: str) -> None:
        self.episode = episode
        self._steps: list[Step] = []

    def __len__(self) -> int:
        """Transitions held so far (the last Step holds only an observation)."""
        return len(self._steps) - 1 if self.is_whole else len(self._steps)

    @property
    def is_whole(self) -> bool:
        return bool(self._steps) and self._steps[-1].is_last

    def add(self, step: Step) -> None:
        """Take the next Step. Raises DataError where it is of another episode, out of order, or after the last."""
        if step.episode != self.episode:
            raise DataError(f"a step of episode '{step.episode}' came while '{self.episode}' is being built")
        if self.is_whole:
            raise DataError(f"episode '{self.episode}': step {step.index} came after the last, {len(self)}")
        if step.index != len(self._steps):
            raise DataError(f"episode '{self.episode}': step {step.index} came, not {len(self._steps)}; one was lost")
        self._steps.append(step)

    def build(self, meta: Mapping[str, Any] | None = None) -> Episode:
        """The whole, valid Episode; meta["id"] is its id unless told. Raises DataError where steps are missing."""
        if not self.is_whole:
            raise DataError(f"episode '{self.episode}' stops after {len(self._steps)} steps without a last observation")
        episode = _stack(self._steps, {"id": self.episode, **(meta or {})})
        validate(episode)
        return episode


def _stack(steps: list[Step], meta: Mapping[str, Any]) -> Episode:
    observations = [step.observation for step in steps]
    moves = [step for step in steps if step.executed is not None]
    done = [step.executed for step in moves if step.executed is not None]
    if not moves:
        raise DataError(f"episode '{meta['id']}' has one observation and no motion; there is nothing to learn from")
    return Episode(
        images={name: _rows(name, [o.images for o in observations], np.uint8) for name in observations[0].images},
        state={name: _rows(name, [o.state for o in observations], np.float32) for name in observations[0].state},
        stamp_ns=np.array([o.stamp_ns for o in observations], np.int64),
        action=_rows("action", [{"action": e.values} for e in done], np.float32),
        proposed=_rows("proposed", [{"proposed": e.proposed} for e in done], np.float32),
        reward=np.array([s.reward for s in moves], np.float32),
        terminated=np.array([s.terminated for s in moves], np.bool_),
        truncated=np.array([s.truncated for s in moves], np.bool_),
        reasons=np.array([e.reasons for e in done], np.uint32),
        source=np.array([int(e.source) for e in done], np.uint8),
        revision=np.array([e.revision for e in done], np.int64),
        meta=meta,
    )


def _rows(name: str, holders: list[Any], dtype: type) -> Array:
    """Stack `holder[name]` of every holder. Raises DataError naming the row that is missing or of another shape."""
    first = np.shape(holders[0][name])
    for row, holder in enumerate(holders):
        if name not in holder or np.shape(holder[name]) != first:
            found = np.shape(holder[name]) if name in holder else "missing"
            raise DataError(f"'{name}' is {found} at step {row} and {first} at step 0; it must not change")
    return np.stack([np.asarray(holder[name], dtype) for holder in holders])


def _expected(name: str, n_steps: int) -> tuple[int, np.dtype, int]:
    """Rows, dtype and number of axes that array `name` must have."""
    if name in TRANSITION_FIELDS:
        dtype, is_vector = TRANSITION_FIELDS[name]
        return n_steps, np.dtype(dtype), 2 if is_vector else 1
    if name == "stamp_ns":
        return n_steps + 1, np.dtype(np.int64), 1
    return (n_steps + 1, np.dtype(np.uint8), 4) if name.startswith("images/") else (n_steps + 1, np.dtype("f4"), 2)


def _check_rows(name: str, array: Array, n_steps: int) -> None:
    rows, dtype, n_axes = _expected(name, n_steps)
    if not is_plain_name(name.rpartition("/")[2]) or name.count("/") > 1:
        raise DataError(f"'{name}' is no name for an array; use letters, digits, '_', '-', '.'")
    if not isinstance(array, np.ndarray) or array.dtype != dtype:
        found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise DataError(f"{name} is {found}, expected a NumPy array of {dtype}")
    if array.ndim != n_axes or len(array) != rows or 0 in array.shape:
        raise DataError(f"{name} has shape {array.shape}, expected {n_axes} axes and {rows} rows for {n_steps} steps")
    if name.startswith("images/") and array.shape[3] != 3:
        raise DataError(f"{name} has shape {array.shape}, expected (T+1, height, width, 3) RGB")


def _check_finite(name: str, array: Array) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise DataError(f"{name} is not finite at row {row} ({array[row]}); drop the episode or mend its source")


def _check_end(episode: Episode) -> None:
    for name in ("terminated", "truncated"):
        early = np.flatnonzero(getattr(episode, name)[:-1])
        if len(early):
            raise DataError(f"{name} is set at row {early[0]} of {len(episode)}; only the last transition may end")
    if episode.terminated[-1] and episode.truncated[-1]:
        raise DataError(
            "the last transition is terminated and truncated; a time limit is only truncated: it bootstraps"
        )
