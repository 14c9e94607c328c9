"""Is each camera the one its name says, and can its pictures be read?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_robot.jsonfile import read_json, write_json
from o2o_robot.preflight.facts import GraphFacts, Picture, Stream
from o2o_robot.preflight.finding import Finding, Level, graded, unknown
from o2o_robot.types import Array

THUMBNAIL = 16  # rows and columns
READABLE = ("rgb8", "bgr8")
_ALIKE = 0.7  # correlation with its own reference picture
_SURE = 0.1  # by which another camera's reference must fit better


def picture(found: Picture | None, camera: str) -> Finding:
    """Resolution and encoding."""
    what = f"{camera}: picture"
    if found is None:
        return unknown(what, "none came")
    told = f"{found.width}x{found.height} {found.encoding}, {found.n_bytes / 1e6:.2f} MB"
    remedy = "Set the camera's colour format to rgb8."
    return graded(what, told, " or ".join(READABLE), remedy, red=found.encoding not in READABLE)


def frame(stream: Stream, camera: str) -> Finding:
    """The frame_id of its images (REP-103 optical frame); calibration results are filed under the camera's name."""
    what, expected = f"{camera}: frame", f"{camera}_color_optical_frame"
    if not stream.stamps_ns:
        return unknown(what, "no message")
    remedy = f"Check that {camera} is bound to its own serial number; then set its frame to {expected}."
    is_other = stream.frame_id != expected
    return graded(what, stream.frame_id or "empty", expected, remedy, red=False, yellow=is_other)


def intrinsics(graph: GraphFacts, camera: str) -> Finding:
    """Whether CameraInfo holds a calibration (k[0] is 0 where it does not)."""
    what, focal_px = f"{camera}: intrinsics", graph.focal_px.get(camera)
    if focal_px is None:
        return unknown(what, "no camera_info")
    remedy = "Calibrate it, or let the driver publish the factory intrinsics."
    return graded(what, f"fx {focal_px:.1f} px", "> 0", remedy, red=False, yellow=focal_px <= 0)


def resemblance(found: Picture | None, references: Mapping[str, tuple[float, ...]], camera: str) -> Finding:
    """Whether the picture looks like the one kept of this camera, and no other camera's fits it better."""
    what = f"{camera}: looks as it did"
    if camera not in references:
        return unknown(what, "no reference picture", "Keep some with --save-references once all is right.")
    if found is None or not found.thumbnail:
        return unknown(what, "no picture")
    likeness = {name: correlation(found.thumbnail, kept) for name, kept in references.items()}
    own, best = likeness[camera], max(likeness, key=lambda name: likeness[name])
    if best != camera and likeness[best] > own + _SURE:
        remedy = f"Swap {camera} and {best}: their serial numbers, or their cables, changed places."
        told = f"correlation {own:.2f}; {likeness[best]:.2f} with {best}"
        return Finding(Level.RED, what, told, f">= {_ALIKE}", remedy)
    remedy = "Look whether the camera was moved or covered; then calibrate it anew and keep new pictures."
    return graded(what, f"correlation {own:.2f}", f">= {_ALIKE}", remedy, red=False, yellow=own < _ALIKE)


def thumbnail(image: Array) -> tuple[float, ...]:
    """Grey means of 16 x 16 blocks of an image (H, W, 3) or (H, W), row by row."""
    grey = np.asarray(image, np.float64)
    grey = grey.mean(axis=2) if grey.ndim == 3 else grey
    rows = [part for part in np.array_split(grey, THUMBNAIL, axis=0) if part.size]
    blocks = [[cell.mean() for cell in np.array_split(row, THUMBNAIL, axis=1) if cell.size] for row in rows]
    return tuple(round(float(value), 3) for row in blocks for value in row)


def correlation(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Pearson's r of two thumbnails; 0 where one is even, or they are of different sizes."""
    if len(a) != len(b):
        return 0.0
    x, y = np.array(a) - np.mean(a), np.array(b) - np.mean(b)
    scale = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / scale if scale > 1e-9 else 0.0


def write_references(path: Path, pictures: Iterable[Picture]) -> None:
    """Keep the thumbnails of cameras that are where they belong."""
    write_json(path, {picture.camera: picture.thumbnail for picture in pictures if picture.thumbnail})


def read_references(path: Path) -> dict[str, tuple[float, ...]]:
    """Camera -> thumbnail. Raises DataError or ConfigError where the file holds none."""
    kept = {name: tuple(values) for name, values in read_json(path).items() if isinstance(values, list)}
    if not kept or any(not isinstance(value, int | float) for values in kept.values() for value in values):
        raise ConfigError(f"{path} holds no reference pictures; write it with o2o doctor --save-references")
    return kept
