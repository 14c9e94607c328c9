"""Whether a frame is of the kind a classifier has learnt from: its brightness, its contrast, its colour cast.

Deliberately simple: it sees a lens cap, a lamp switched off, a camera that turned white or lost a colour channel. It
does not see an unknown object; a classifier that is sure and wrong is found by people (`adjudicate`), not by this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from o2o_robot.types import Array

NAMES = ("brightness", "contrast", "red over green", "blue over green")
# Beyond the training frames' range by this share of it, or by this much at least, is far outside. Augmentation takes
# training that far too (augment.py): upward in contrast it goes furthest, by brightness 1.4 times contrast 1.3, and
# nothing that is wrong with a camera looks like that; a thing that comes near the lens does.
_SHARE, _BELOW, _ABOVE = 0.5, (0.06, 0.03, 0.15, 0.15), (0.06, 0.1, 0.15, 0.15)


@dataclass(frozen=True)
class Range:
    """Of one camera: low and high of each of NAMES, brightness and contrast as a share of full scale."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    def strangest(self, frame: Array) -> str:
        """In words, what about a frame (H, W, 3) is far outside; "" where nothing is."""
        for name, value, low, high in zip(NAMES, looks(frame[None])[0], self.low, self.high, strict=True):
            if not low <= value <= high:
                return f"{name} is {value:.2f}, trained on {low:.2f} to {high:.2f}"
        return ""


def looks(frames: Array) -> Array:
    """(N, 4) of NAMES for frames (N, H, W, 3) uint8; every fourth pixel of each side is looked at."""
    some = frames[:, ::4, ::4].astype(np.float32) / 255.0
    mean = some.mean(axis=(1, 2))
    grey = some.mean(axis=3)
    green = mean[:, 1] + 0.02  # near black has no colour
    ratios = ((mean[:, 0] + 0.02) / green, (mean[:, 2] + 0.02) / green)
    return np.stack([grey.mean(axis=(1, 2)), grey.std(axis=(1, 2)), *ratios], axis=1)


def ranges(images: Mapping[str, Array]) -> dict[str, Range]:
    """What each camera's frames (N, H, W, 3) span, widened."""
    return {name: _range(looks(frames)) for name, frames in images.items()}


def _range(seen: Array) -> Range:
    low, high = seen.min(axis=0), seen.max(axis=0)
    span = _SHARE * (high - low)
    low, high = low - np.maximum(span, _BELOW), high + np.maximum(span, _ABOVE)
    return Range(tuple(np.round(low, 4).tolist()), tuple(np.round(high, 4).tolist()))


def trouble(known: Mapping[str, Range], size: int, images: Mapping[str, Array]) -> str:
    """Why these frames (H, W, 3), by camera, cannot be judged, in one line with what to try; "" where they can."""
    missing = [name for name in known if name not in images]
    if missing:
        return f"no frame of {_listed(missing)}; the classifier looks at {_listed(known)}: set cameras, or train again"
    for name, known_range in known.items():
        shape = images[name].shape
        if shape != (size, size, 3):
            return f"{name} is {shape[1]}x{shape[0]}, trained on {size}x{size}: set image_topic or camera_node's view"
        if strange := known_range.strangest(images[name]):
            return f"{name}: {strange}; look at the lamp and the lens, or train with such frames"
    return ""


def _listed(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(names)
