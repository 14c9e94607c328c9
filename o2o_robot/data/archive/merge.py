"""Several stores into one: only where their episodes are of one shape, and each episode once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.data.archive.episode_folder import ArrayLayout
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import StoreError

_RANGE_ENDS = ("action_low", "action_high")


class Twin(NamedTuple):
    """An episode that was left out, since the merged store has it already: its store, and its number there."""

    store: EpisodeStore
    number: str


class Merged(NamedTuple):
    """Indices of the episodes that were taken in, and those that were there before."""

    adopted: list[int]
    skipped: list[Twin]


class _Kind(NamedTuple):
    """What must be the same for episodes to share a store: their arrays less their rows, and what -1 and +1 mean."""

    where: str
    layout: dict[str, ArrayLayout]
    action_range: dict[str, Any]


def merge(
    stores: Sequence[EpisodeStore],
    out: EpisodeStore,
    *,
    move: bool = False,
    tell: Callable[[int], None] = lambda n: None,
) -> Merged:
    """Take the episodes of `stores` into `out`, in order, with their corrections.

    An episode whose arrays and id are there already is skipped, so that a merge that was cut short is done again by the
    same call. tell: called with the number of episodes done so far. Raises StoreError, before anything is taken, naming
    the first difference in cameras, image sizes, fields, action width or action range.
    """
    check_alike([out, *stores])
    merged, there = Merged([], []), {_identity(out, i) for i in range(len(out))}
    for store in stores:
        _take(store, out, there, merged, move=move, tell=tell)
    return merged


def check_alike(stores: Sequence[EpisodeStore]) -> None:
    """Raises StoreError naming the first difference between any two episodes of the stores."""
    first: _Kind | None = None
    for store in stores:
        for index in range(len(store)):
            kind = _kind(store, index)
            first = first or kind
            _check_pair(first, kind)


def _take(
    store: EpisodeStore,
    out: EpisodeStore,
    there: set[tuple[str, str]],
    merged: Merged,
    *,
    move: bool,
    tell: Callable[[int], None],
) -> None:
    """Numbers are gone through, not indices: those move when an episode is moved out."""
    for number in [store.number(index) for index in range(len(store))]:
        index = store.index(number)
        identity = _identity(store, index)
        if identity in there:
            merged.skipped.append(Twin(store, number))
        else:
            merged.adopted.extend(out.adopt(store, move=move, only=[index]))
            there.add(identity)
        tell(len(merged.adopted) + len(merged.skipped))


def _identity(store: EpisodeStore, index: int) -> tuple[str, str]:
    return store.digest(index), str(store.meta(index, corrected=False).get("id"))


def _kind(store: EpisodeStore, index: int) -> _Kind:
    meta = store.meta(index, corrected=False)
    action_range = {end: meta[end] for end in _RANGE_ENDS if end in meta}
    return _Kind(f"{store.path} episode {store.number(index)}", store.layout(index), action_range)


def _check_pair(ours: _Kind, theirs: _Kind) -> None:
    names = [*ours.layout, *(name for name in theirs.layout if name not in ours.layout)]
    for name in names:
        here, there = ours.layout.get(name), theirs.layout.get(name)
        if here != there:
            told = f"'{name}' is {_shown(here)} in {ours.where} and {_shown(there)} in {theirs.where}"
            raise StoreError(f"{told}; ingest one of them again with the other's contract and image size")
    for end in _RANGE_ENDS:
        here_end, there_end = ours.action_range.get(end), theirs.action_range.get(end)
        if not _same_range(here_end, there_end):
            told = f"{end} is {_shown(here_end)} in {ours.where} and {_shown(there_end)} in {theirs.where}"
            raise StoreError(f"{told}; ingest one of them again with the other's action range")


def _same_range(ours: Any, theirs: Any) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    return np.shape(ours) == np.shape(theirs) and np.allclose(ours, theirs, rtol=1e-6, atol=1e-9)


def _shown(value: Any) -> str:
    if isinstance(value, ArrayLayout):
        return " ".join(["x".join(map(str, value.row_shape)) or "a number", value.dtype])
    return "not there" if value is None else str(value)
