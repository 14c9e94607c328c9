"""Pictures of a reset that was refused, beside what the cameras saw after good ones, for a person to look at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from o2o_robot.data.bags import encode
from o2o_robot.reset.views import Views
from o2o_robot.types import Array


def keep_refused(folder: Path, n: int, views: Views, images: Mapping[str, Array]) -> list[Path]:
    """FOLDER/refused-<n>-<camera>.png: the reference on the left, where there is one, the present on the right."""
    kept = []
    for name, image in images.items():
        picture = image if views.is_learning else views.beside(name, image)
        path = folder / f"refused-{n:06d}-{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode.png(picture))
        kept.append(path)
    return kept
