"""Whether the cameras see what they saw after good resets: a camera that was knocked, a scene that is another.

What counts as alike is learned from the good resets themselves, at home, where everything but the task's objects is in
its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from o2o_robot.errors import DataError
from o2o_robot.types import Array

MARGIN = 0.15  # below the least likeness among good resets: five of them do not show all that a good one may be
LEAST = 0.2  # of any threshold: pictures of two different things are alike to about 0


def likeness(one: Array, other: Array) -> float:
    """Normalised correlation of the edges of two pictures (H, W, 3) uint8: 1 the same, about 0 unrelated.

    Of edges, since light changes grey values everywhere and edges hardly; pictures without any are alike. Pictures of
    two sizes are not alike at all.
    """
    if np.shape(one) != np.shape(other):
        return 0.0
    a, b = _edges(one), _edges(other)
    size = np.sqrt(float((a * a).sum()) * float((b * b).sum()))
    return float((a * b).sum()) / size if size > 1e-9 else float(np.array_equal(one, other))


class Views:
    """Pictures of good resets by camera, and what they say of the next one.

    views = Views(wanted=5)
    whys = views.why_not(images)            # empty while it is still learning
    views.learn(images)                     # a reset that was good in every other way; no more than `wanted` are kept
    """

    def __init__(self, wanted: int, good: Mapping[str, Sequence[Array]] | None = None) -> None:
        self._wanted = wanted
        self._good = {name: list(pictures) for name, pictures in (good or {}).items()}
        self._known: dict[str, tuple[Array, float]] = {}

    @property
    def is_learning(self) -> bool:
        return self.n_good < self._wanted

    @property
    def n_good(self) -> int:
        """How many good resets it has seen."""
        return min((len(pictures) for pictures in self._good.values()), default=0)

    def learn(self, images: Mapping[str, Array]) -> bool:
        """Whether it was kept."""
        if not self.is_learning or not images:
            return False
        for name, image in images.items():
            self._good.setdefault(name, []).append(np.asarray(image, np.uint8).copy())
        self._known.clear()
        return True

    def why_not(self, images: Mapping[str, Array]) -> list[str]:
        """Which camera sees something else, in words; nothing while it learns, or where nothing is to be learned.

        Raises DataError for a camera of which nothing was learned.
        """
        if self.is_learning or not self._wanted:
            return []
        told = {name: (self.likeness(name, image), self.threshold(name)) for name, image in images.items()}
        return [
            f"camera {name} sees another scene, or was moved: likeness {found:.2f}, {least:.2f} at least"
            for name, (found, least) in told.items()
            if found < least
        ]

    def likeness(self, camera: str, image: Array) -> float:
        return likeness(self.reference(camera), image)

    def reference(self, camera: str) -> Array:
        """The median picture (H, W, 3) uint8: what moves from one reset to the next is hardly in it."""
        return self._facts(camera)[0]

    def threshold(self, camera: str) -> float:
        """MARGIN below the least likeness of a good picture to the median of the others."""
        return self._facts(camera)[1]

    def beside(self, camera: str, image: Array) -> Array:
        """The reference and a picture side by side, (H, 2 W + 4, 3) uint8."""
        reference = self.reference(camera)
        if reference.shape != image.shape:
            return np.asarray(image, np.uint8)
        return np.concatenate([reference, np.full((len(image), 4, 3), 255, np.uint8), image], axis=1)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".part.npz")
        stacks: dict[str, Any] = {name: np.stack(pictures) for name, pictures in self._good.items()}
        np.savez_compressed(aside, **stacks)
        aside.replace(path)

    @classmethod
    def load(cls, path: Path, wanted: int) -> Views:
        """Those of `save`; new ones where there is no file. Raises DataError where it cannot be read."""
        if not path.is_file():
            return cls(wanted)
        try:
            with np.load(path, allow_pickle=False) as file:
                good = {name: file[name] for name in file.files}
        except (OSError, ValueError, KeyError) as problem:
            raise DataError(f"{path}: {problem}; remove it, the views are then learned anew") from None
        if any(stack.ndim != 4 or stack.dtype != np.uint8 for stack in good.values()):
            raise DataError(f"{path} holds no pictures; remove it, the views are then learned anew")
        return cls(wanted, {name: list(stack) for name, stack in good.items()})

    def _facts(self, camera: str) -> tuple[Array, float]:
        if camera not in self._known:
            good = self._good_of(camera)
            others = [(_median(np.delete(good, i, axis=0)), one) for i, one in enumerate(good)] if len(good) > 1 else []
            least = min((likeness(reference, one) for reference, one in others), default=1.0)
            self._known[camera] = _median(good), max(LEAST, least - MARGIN)
        return self._known[camera]

    def _good_of(self, camera: str) -> Array:
        if not self._good.get(camera):
            raise DataError(
                f"no view of camera '{camera}' was learned (there are {', '.join(self._good)}); "
                "remove the file of views, they are then learned anew"
            )
        return np.stack(self._good[camera])


def _median(pictures: Array) -> Array:
    return np.median(pictures, axis=0).astype(np.uint8)


def _edges(image: Array) -> Array:
    grey = np.asarray(image, np.float64).mean(axis=-1)
    across, down = np.gradient(grey, axis=1), np.gradient(grey, axis=0)
    return np.stack([across, down])
