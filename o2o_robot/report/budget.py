"""Keeps a page small: pictures lose colours, then the last ones are left out, until all fit."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Protocol, TypeVar

from PIL import Image

MOST_BYTES = 5_700_000  # of pictures: in base64 four thirds of it, with the text below 8 MB


class Picture(Protocol):
    """What Plot is."""

    @property
    def png(self) -> bytes: ...


def palette(png: bytes) -> bytes:
    """The picture in 256 colours, or as it was where that is no smaller: plots look the same at a third of the size."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(out, "PNG")
    return min(out.getvalue(), png, key=len)


P = TypeVar("P", bound=Picture)


def left_out(plots: Sequence[P], *, most: int = MOST_BYTES) -> set[int]:
    """Which of the plots, by place, do not fit into `most` bytes: the largest first, so that few are missing."""
    total, out = sum(len(plot.png) for plot in plots), set()
    for k in sorted(range(len(plots)), key=lambda k: -len(plots[k].png)):
        if total <= most:
            break
        total -= len(plots[k].png)
        out.add(k)
    return out
