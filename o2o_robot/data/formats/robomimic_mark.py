"""What our own robomimic files hold besides robomimic's: everything an Episode has, so that a round trip is exact.

Attribute `o2o_robot` of a demonstration is JSON: the episode's meta and the order of its cameras and state fields.
Beside `actions` lie proposed, reasons, source, revision, terminated, truncated (T rows) and stamp_ns (T + 1).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from o2o_robot.data.episode import validate
from o2o_robot.data.formats import hdf5_file as hdf5
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode, Termination

ATTRIBUTE = "o2o_robot"
CAMERA_SUFFIX = "_image"  # robomimic's way to name the picture of a camera
FIELDS = ("proposed", "reasons", "source", "revision")


@dataclass(frozen=True)
class Mark:
    """The facts of an exported episode that are no arrays; cameras and state in the order they had."""

    meta: Mapping[str, Any]
    cameras: tuple[str, ...]
    state: tuple[str, ...]

    def text(self) -> str:
        """As JSON, for the attribute."""
        return json.dumps({"meta": dict(self.meta), "cameras": self.cameras, "state": self.state}, allow_nan=False)

    def camera_keys(self, held: list[str]) -> dict[str, str]:
        """Camera -> its key under obs, for those that are `held`."""
        return {name: name + CAMERA_SUFFIX for name in self.cameras if name + CAMERA_SUFFIX in held}

    def state_keys(self, held: list[str]) -> list[str]:
        """The state fields that are `held`, in their order."""
        return [name for name in self.state if name in held]


def read_mark(demo: Any) -> Mark | None:
    """The mark of a demonstration, None where it is not one of ours. Raises DataError where it cannot be read."""
    text = hdf5.text(demo, ATTRIBUTE)
    if not text:
        return None
    try:
        stated = json.loads(text)
        mark = Mark(dict(stated["meta"]), *(tuple(map(str, stated[key])) for key in ("cameras", "state")))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise DataError(f"{demo.name}: attribute {ATTRIBUTE} is damaged; export the store again") from None
    return mark


def as_recorded(demo: Any, episode: Episode, ours: Mark | None) -> Episode:
    """The episode with what the file itself says of its end, and of our own files with everything that went in."""
    if not (hdf5.has(demo, "terminated") and hdf5.has(demo, "truncated")):
        return episode
    terminated, truncated = (_flags(demo, name, len(episode)) for name in ("terminated", "truncated"))
    if ours is None:
        cause = Termination.TASK if terminated.any() else Termination.OPERATOR
        meta = {**episode.meta, "termination": cause.value}
        ended = replace(episode, terminated=terminated, truncated=truncated, meta=meta)
    else:
        fields: dict[str, Any] = {name: hdf5.values(demo, name) for name in (*FIELDS, "stamp_ns")}
        fields |= {"reward": hdf5.values(demo, "rewards"), "terminated": terminated, "truncated": truncated}
        ended = replace(episode, **fields, meta={**episode.meta, **ours.meta})
    validate(ended)
    return ended


def _flags(demo: Any, name: str, n_steps: int) -> Array:
    """Rows of a flag; one set on the row that was left out counts for the last step."""
    rows = hdf5.values(demo, name).astype(np.bool_).reshape(-1)
    if len(rows) not in (n_steps, n_steps + 1):
        raise DataError(f"{demo.name}/{name} has {len(rows)} rows, expected {n_steps}")
    flags = rows[:n_steps].copy()
    flags[-1] |= rows[-1]
    return flags
