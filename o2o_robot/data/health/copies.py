"""Episodes that are in the store twice: the same file under two names, or a replay of the same commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from o2o_robot.data.health.finding import Finding, Level, ranges
from o2o_robot.data.health.vitals import Vitals
from o2o_robot.types import Array

_ACTION_NEAR = 0.02  # of full scale, root mean square over 16 instants
_PICTURE_NEAR = 1.5  # grey levels, root mean square over 8 thumbnails: less is compression and noise
_LENGTH_NEAR = 0.05
_AT_A_TIME = 256  # rows of the table of distances held at once


def copies(vitals: Sequence[Vitals]) -> Iterator[Finding]:
    """Equal action sequences, and episodes nearly equal in actions and pictures."""
    equal = _groups({v.number: v.action_digest for v in vitals if _acts(v)})
    pictures_too = [group for group in equal if _same_pictures([v for v in vitals if v.number in group])]
    for groups, what, remedy in (
        (pictures_too, "the same episode more than once", "keep one of each and delete the others"),
        (
            [group for group in equal if group not in pictures_too],
            "the same actions, other pictures",
            "a replayed recording: keep it out of the training split of its twin, or delete it",
        ),
        (
            _near(vitals, {n for group in equal for n in group}),
            "nearly the same episode more than once",
            "keep one of each",
        ),
    ):
        if groups:
            shown = "; ".join(ranges(group) for group in groups[:4]) + (" ..." if len(groups) > 4 else "")
            episodes = tuple(sorted(n for group in groups for n in group))
            yield Finding(Level.CHECK, what, f"{len(groups)} groups: {shown}", episodes, remedy)


def _groups(keys: dict[int, str]) -> list[tuple[int, ...]]:
    """Episode numbers with equal keys, two or more together."""
    found: dict[str, list[int]] = {}
    for number, key in keys.items():
        found.setdefault(key, []).append(number)
    return [tuple(numbers) for numbers in found.values() if len(numbers) > 1]


def _acts(v: Vitals) -> bool:
    """Episodes in which nothing was asked for are all alike and say nothing."""
    return bool((v.action.high - v.action.low > 0).any())


def _same_pictures(group: Sequence[Vitals]) -> bool:
    return all(_picture_distance(group[0], other) < _PICTURE_NEAR for other in group[1:])


def _near(vitals: Sequence[Vitals], known: set[int]) -> list[tuple[int, ...]]:
    """Pairs that differ by less than noise, in actions, in pictures and in length. known: said already."""
    candidates = [v for v in vitals if _acts(v) and v.number not in known]
    pairs: list[tuple[int, ...]] = []
    for width in {v.action_film.shape[1] for v in candidates}:
        some = [v for v in candidates if v.action_film.shape[1] == width]
        pairs += [(some[i].number, some[j].number) for i, j in _near_actions(some) if _is_near(some[i], some[j])]
    return pairs


def _near_actions(vitals: Sequence[Vitals]) -> Iterator[tuple[int, int]]:
    """Index pairs i < j whose actions are near, a band of the table of all distances at a time."""
    films = np.stack([v.action_film for v in vitals]).astype(np.float32).reshape(len(vitals), -1)
    squares = (films**2).sum(axis=1)
    limit = _ACTION_NEAR**2 * films.shape[1]
    for start in range(0, len(films), _AT_A_TIME):
        band = films[start : start + _AT_A_TIME]
        near: Array = squares[start : start + len(band), None] + squares - 2 * band @ films.T < limit
        for i, j in np.argwhere(near):
            if start + i < j:
                yield int(start + i), int(j)


def _is_near(a: Vitals, b: Vitals) -> bool:
    alike = abs(a.n_steps - b.n_steps) <= max(2, _LENGTH_NEAR * max(a.n_steps, b.n_steps))
    return alike and _picture_distance(a, b) < _PICTURE_NEAR


def _picture_distance(a: Vitals, b: Vitals) -> float:
    """Grey levels between the thumbnails of two episodes, of the camera that differs most; 0 without pictures."""
    shared = [name for name in a.cameras if name in b.cameras]
    films = [(a.cameras[n].film.astype(np.float32), b.cameras[n].film.astype(np.float32)) for n in shared]
    return max((float(np.sqrt(((x - y) ** 2).mean())) for x, y in films), default=0.0)
