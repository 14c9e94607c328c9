"""Frames to learn success from: which of an episode's frames show it, which do not, and which nobody can tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from o2o_robot.data.labels import outcome_of
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode

SUCCESS, OTHER, UNTOLD = 1, 0, -1
MARGIN = 3  # frames before the first success that are neither: a person sees it done before or after the label does


@dataclass(frozen=True)
class Examples:
    """N frames: images by camera (N, H, W, 3) uint8; is_success (N,) bool; of which episode and row each is, (N,).

    episode: index in the store. outcome: whether that episode succeeded, (N,) bool.
    """

    images: dict[str, Array]
    is_success: Array
    episode: Array
    row: Array
    outcome: Array

    def __len__(self) -> int:
        return len(self.is_success)

    def at(self, rows: Array) -> Examples:
        """Those at `rows` (indices, or a mask)."""
        images = {name: image[rows] for name, image in self.images.items()}
        return Examples(images, self.is_success[rows], self.episode[rows], self.row[rows], self.outcome[rows])


def labels_of(episode: Episode, *, margin: int = MARGIN) -> Array:
    """(T + 1,) SUCCESS, OTHER or UNTOLD for each observation.

    A success shows in the observations that its last run of rewards led to (the last one always); the `margin` frames
    before them are untold, what is earlier is other. All frames of a failure are other, all of an open episode untold.
    """
    found = np.full(len(episode) + 1, UNTOLD, np.int8)
    outcome = outcome_of(episode.meta)
    if outcome == "failure":
        found[:] = OTHER
    elif outcome == "success":
        first = _first_success(episode.reward)
        found[: max(0, first - margin)] = OTHER
        found[first:] = SUCCESS
    return found


def gather(
    store: EpisodeStore,
    *,
    cameras: Sequence[str] = (),
    indices: Sequence[int] | None = None,
    margin: int = MARGIN,
    tick: Callable[[], None] = lambda: None,
) -> Examples:
    """The told frames of the store's episodes (all, or those at `indices`), of these cameras (all).

    tick: called after each episode. DataError where a camera is missing, or a camera's frames differ in size.
    """
    parts: list[Examples] = []
    for index in range(len(store)) if indices is None else indices:
        episode = store.read(index)
        told = np.flatnonzero(labels_of(episode, margin=margin) != UNTOLD)
        if len(told):
            parts.append(_part(episode, index, told, cameras, margin))
        tick()
    if not parts:
        raise DataError(f"no episode of {store.path} has a known outcome; label some with `o2o label`")
    return _joined(parts)


def require_enough(examples: Examples, *, at_least: int) -> None:
    """DataError where fewer episodes than that succeeded, or failed."""
    episodes, first = np.unique(examples.episode, return_index=True)
    n_success = int(examples.outcome[first].sum())
    n_failure = len(episodes) - n_success
    if min(n_success, n_failure) < at_least:
        raise DataError(
            f"{n_success} successes and {n_failure} failures are known, at least {at_least} of each are needed to "
            "learn from; record or label more (without failures a classifier learns the clock, not the task)"
        )


def _first_success(reward: Array) -> int:
    """The first observation of the last run of equal rewards; the last one where there is no other reward."""
    others = np.flatnonzero(reward != reward[-1])
    return int(others[-1]) + 2 if len(others) else len(reward)


def _part(episode: Episode, index: int, told: Array, cameras: Sequence[str], margin: int) -> Examples:
    missing = [name for name in cameras if name not in episode.images]
    if missing or not episode.images:
        raise DataError(
            f"episode {index} has no camera {', '.join(missing)}; it has {', '.join(episode.images) or 'none'}"
        )
    images = {name: episode.images[name][told] for name in cameras or episode.images}
    is_success = labels_of(episode, margin=margin)[told] == SUCCESS
    of = np.full(len(told), index)
    return Examples(images, is_success, of, told, np.full(len(told), outcome_of(episode.meta) == "success"))


def _joined(parts: Sequence[Examples]) -> Examples:
    cameras = list(parts[0].images)
    for part in parts:
        for name in cameras:
            there = part.images.get(name)
            if there is None or there.shape[1:] != parts[0].images[name].shape[1:]:
                got = "missing" if there is None else "x".join(map(str, there.shape[1:3]))
                raise DataError(f"camera {name} is {got} in episode {part.episode[0]}; train on episodes of one cell")
    images = {name: np.concatenate([part.images[name] for part in parts]) for name in cameras}
    rest = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Examples)
        if field.name != "images"
    }
    return Examples(images, **rest)
