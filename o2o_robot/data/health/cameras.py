"""Cameras that see nothing, stand still, were swapped, or were exposed unlike the rest."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from o2o_robot.data.health.camera_vitals import CameraVitals
from o2o_robot.data.health.finding import Finding, Level, far_from_rest
from o2o_robot.data.health.vitals import Vitals
from o2o_robot.types import Array

_FLAT = 2.0  # grey levels of standard deviation: less is one colour and the sensor's noise
_STILL = 0.4  # grey levels that a thumbnail changes: less is noise
_BLACK_SHARE = 0.1
_FROZEN_FRAMES, _FROZEN_TRAVEL = 5, 0.1  # of what the state travels in the whole store
_EXPOSURE = 25.0  # grey levels; a scene of its own differs by less
_BLOWN = 0.5
_FACE = 20.0  # grey levels by which a moved camera differs from itself, at least


class Seen(NamedTuple):
    """One camera in the episodes that have it."""

    name: str
    episodes: tuple[int, ...]
    vitals: tuple[CameraVitals, ...]

    def where(self, mask: Sequence[bool] | Array) -> tuple[int, ...]:
        return tuple(number for number, is_so in zip(self.episodes, mask, strict=True) if is_so)


def dead(vitals: Sequence[Vitals]) -> Iterator[Finding]:
    """Black, of one colour, black now and then, or never changing."""
    for camera in _cameras(vitals):
        black = np.array([v.n_black / v.n_frames for v in camera.vitals])
        flat = np.array([v.contrast < _FLAT for v in camera.vitals]) & (black < 1)
        still = np.array([v.change < _STILL for v in camera.vitals]) & (black < 1) & ~flat
        remedy = "check its cable, lens cap and driver; delete these episodes or leave the camera out of the policy"
        if n := camera.where(black == 1):
            yield Finding(Level.FAULT, f"camera {camera.name} is black", "every frame", n, remedy)
        if n := camera.where(flat):
            yield Finding(Level.FAULT, f"camera {camera.name} shows one colour", "no contrast", n, remedy)
        if n := camera.where((black > 0) & (black < 1)):
            level = Level.FAULT if black.max() > _BLACK_SHARE else Level.CHECK
            seen = f"up to {100 * black[black < 1].max():.0f} % of the frames"
            yield Finding(level, f"camera {camera.name} has black frames", seen, n, "check its cable; " + _DELETE)
        if n := camera.where(still):
            seen = f"a thumbnail changes by less than {_STILL} grey levels"
            yield Finding(
                Level.CHECK, f"camera {camera.name} sees nearly no change", seen, n, f"is it aimed right? {remedy}"
            )


def frozen(vitals: Sequence[Vitals]) -> Iterator[Finding]:
    """The same pixels again and again while the robot moves."""
    travel = _state_travel(vitals)
    for camera in _alive(vitals):
        moved = [
            bool((v.frozen_travel > _FROZEN_TRAVEL * travel[len(v.frozen_travel)]).any())
            and v.n_frozen >= _FROZEN_FRAMES
            for v in camera.vitals
        ]
        if n := camera.where(moved):
            longest = max(v.n_frozen for v, is_so in zip(camera.vitals, moved, strict=True) if is_so)
            seen = f"up to {longest} equal frames in a row"
            remedy = (
                "its driver hung (ingest with faults.frozen: cut), or, on a twin without noise, the robot left its view"
            )
            yield Finding(Level.CHECK, f"camera {camera.name} stands still while the robot moves", seen, n, remedy)


def swapped(vitals: Sequence[Vitals]) -> Iterator[Finding]:
    """Two cameras that took each other's place."""
    remedy = "exchange the two topics in the contract for these recordings and ingest them again"
    for (a, b), episodes in _crossed(vitals).items():
        yield Finding(Level.FAULT, f"cameras {a} and {b} are swapped", "each looks like the other", episodes, remedy)


def odd(vitals: Sequence[Vitals]) -> Iterator[Finding]:
    """A camera that sees what it sees nowhere else, and is neither swapped nor just lighter or darker."""
    crossed = _all_crossed(vitals)
    for camera in _alive(vitals):
        usual = _usual_face(camera)
        far = np.array([float(np.abs(v.face - usual).mean()) for v in camera.vitals])
        is_odd = far_from_rest(far, at_least=_FACE, spreads=8.0) & ~_is_exposed(camera)
        is_odd &= ~np.isin(camera.episodes, crossed)
        if n := camera.where(is_odd):
            seen = f"{far[is_odd].max():.0f} grey levels from its usual view"
            remedy = "look at the pictures: was it moved, covered, or the scene another?"
            yield Finding(Level.CHECK, f"camera {camera.name} sees another scene", seen, n, remedy)


def exposure(vitals: Sequence[Vitals]) -> Iterator[Finding]:
    """Far brighter or darker than in the rest, or mostly white."""
    for camera in _alive(vitals):
        level = np.array([v.level for v in camera.vitals])
        is_odd = _is_exposed(camera) & ~np.isin(camera.episodes, _all_crossed(vitals))
        usual = f"usually {np.median(level):.0f}"
        remedy = "fix exposure and light (no automatic exposure), or train with brightness augmentation"
        if n := camera.where(is_odd):
            seen = f"mean grey {', '.join(f'{x:.0f}' for x in np.unique(level[is_odd].round())[:4])}; {usual}"
            yield Finding(Level.CHECK, f"camera {camera.name} is exposed unlike the rest", seen, n, remedy)
        blown = np.array([v.blown for v in camera.vitals]) > _BLOWN
        if n := camera.where(blown):
            seen = f"more than {100 * _BLOWN:.0f} % of the pixels are white"
            yield Finding(Level.CHECK, f"camera {camera.name} is overexposed", seen, n, remedy)


_DELETE = "delete these episodes"


def _cameras(vitals: Sequence[Vitals]) -> Iterator[Seen]:
    names = dict.fromkeys(name for v in vitals for name in v.cameras)
    for name in names:
        having = [v for v in vitals if name in v.cameras]
        yield Seen(name, tuple(v.number for v in having), tuple(v.cameras[name] for v in having))


def _alive(vitals: Sequence[Vitals]) -> Iterator[Seen]:
    """The cameras in the episodes in which they see anything; what `dead` says need not be said again."""
    for camera in _cameras(vitals):
        kept = [(n, v) for n, v in zip(camera.episodes, camera.vitals, strict=True) if _sees(v)]
        if kept:
            yield Seen(camera.name, *(tuple(column) for column in zip(*kept, strict=True)))


def _sees(v: CameraVitals) -> bool:
    return v.n_black < v.n_frames and v.contrast >= _FLAT


def _usual_face(camera: Seen) -> Array:
    return np.asarray(np.median([v.face for v in camera.vitals], axis=0))


def _is_exposed(camera: Seen) -> Array:
    return far_from_rest([v.level for v in camera.vitals], at_least=_EXPOSURE)


def _all_crossed(vitals: Sequence[Vitals]) -> list[int]:
    return [number for episodes in _crossed(vitals).values() for number in episodes]


def _crossed(vitals: Sequence[Vitals]) -> dict[tuple[str, str], tuple[int, ...]]:
    """Pairs of cameras with the episodes in which each looks like the other; with fewer than 3 none is usual."""
    cameras = [camera for camera in _alive(vitals) if len(camera.episodes) >= 3]
    faces = {camera.name: _usual_face(camera) for camera in cameras}
    found = {}
    for a, b in itertools.combinations(cameras, 2):
        both = (number for number in a.episodes if number in b.episodes)
        if numbers := tuple(number for number in both if _is_swapped(a, b, number, faces)):
            found[a.name, b.name] = numbers
    return found


def _is_swapped(a: Seen, b: Seen, number: int, faces: Mapping[str, Array]) -> bool:
    """Whether each camera of episode `number` is nearer to the other's usual face than to its own, clearly."""
    seen = {camera.name: camera.vitals[camera.episodes.index(number)].face for camera in (a, b)}
    own = sum(float(np.abs(seen[c.name] - faces[c.name]).mean()) for c in (a, b))
    other = sum(float(np.abs(seen[c.name] - faces[d.name]).mean()) for c, d in ((a, b), (b, a)))
    return other < 0.5 * own


def _state_travel(vitals: Sequence[Vitals]) -> dict[int, Array]:
    """How far each column of the state goes in the whole store, by the number of columns."""
    found: dict[int, list[Array]] = {}
    for v in vitals:
        low = np.concatenate([np.zeros(0), *(c.low for c in v.state.values())])
        high = np.concatenate([np.zeros(0), *(c.high for c in v.state.values())])
        found.setdefault(len(low), []).extend([low, high])
    return {n: np.maximum(np.ptp(np.stack(rows), axis=0), 1e-4) for n, rows in found.items()}
