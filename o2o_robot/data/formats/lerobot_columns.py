"""Which columns of a LeRobot dataset an Episode becomes, and how info.json describes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.data.action_range import ActionRange, unscaled
from o2o_robot.data.formats.lerobot_extra import COLUMNS
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode, Outcome

_WIDER = {"reasons": np.int64, "source": np.int64}  # torch has no uint32, and one int type is enough


class Shape(NamedTuple):
    """What all episodes of a dataset share. is_raw: their actions have a unit, which `action` is restored to."""

    cameras: tuple[tuple[str, tuple[int, ...]], ...]
    fields: tuple[tuple[str, int], ...]
    n_action: int
    is_raw: bool


class Numbers(NamedTuple):
    """Where an episode stands in its dataset."""

    episode: int
    first_row: int
    task: int


def shape_of(episode: Episode) -> Shape:
    return Shape(
        cameras=tuple((name, pixels.shape[1:]) for name, pixels in episode.images.items()),
        fields=tuple((name, values.shape[1]) for name, values in episode.state.items()),
        n_action=episode.action.shape[1],
        is_raw="action_low" in episode.meta and "action_high" in episode.meta,
    )


def check_shape(number: int, found: Shape, first: Shape) -> None:
    """Raises DataError naming what differs: a LeRobot dataset has one set of features."""
    for name in Shape._fields:
        one, other = getattr(found, name), getattr(first, name)
        if one != other:
            raise DataError(f"episode {number} has {name} {one}, episode 0 has {other}; export them apart")


def columns(episode: Episode, numbers: Numbers, fps: int) -> dict[str, Array]:
    """The T rows of an episode, without its pictures: key -> (T,) or (T, k)."""
    n_steps = len(episode)
    rows = np.arange(n_steps)
    last = rows == n_steps - 1
    state = [values[:-1] for values in episode.state.values()]
    found = {"observation.state": np.concatenate(state, axis=1)} if state else {}
    found |= {"action": raw_action(episode)}
    for column, field in COLUMNS.items():
        values = getattr(episode, field)[:n_steps]
        found[column] = values.astype(_WIDER.get(field, values.dtype))
    return found | {
        "next.done": episode.terminated | episode.truncated,
        "next.success": last & (episode.meta.get("outcome") == Outcome.SUCCESS.value),
        "timestamp": (rows / fps).astype(np.float32),
        "frame_index": rows.astype(np.int64),
        "episode_index": np.full(n_steps, numbers.episode, np.int64),
        "index": (numbers.first_row + rows).astype(np.int64),
        "task_index": np.full(n_steps, numbers.task, np.int64),
    }


def raw_action(episode: Episode) -> Array:
    """Executed actions (T, k) float32 in the unit they were recorded in; as they are stored where none is known."""
    low, high = episode.meta.get("action_low"), episode.meta.get("action_high")
    if low is None or high is None:
        return episode.action
    return unscaled(episode.action, ActionRange(np.asarray(low), np.asarray(high))).astype(np.float32)


def features(first: Episode, rows: Mapping[str, Array], fps: int, *, codec: str | None) -> dict[str, Any]:
    """`features` of info.json for datasets whose first episode is `first`. codec: None where pictures are PNG."""
    found: dict[str, Any] = {}
    for name, pixels in first.images.items():
        height, width, _ = pixels.shape[1:]
        found[f"observation.images.{name}"] = {
            "dtype": "video" if codec else "image",
            "shape": [height, width, 3],
            "names": ["height", "width", "channels"],
        } | ({"info": _video_info(height, width, fps, codec)} if codec else {})
    for key, values in rows.items():
        shape = list(values.shape[1:]) or [1]
        found[key] = {"dtype": str(values.dtype), "shape": shape, "names": _names(first, key, shape[0])}
    return found


def _video_info(height: int, width: int, fps: int, codec: str) -> dict[str, Any]:
    facts = {"height": height, "width": width, "codec": codec, "pix_fmt": "yuv420p", "fps": fps, "channels": 3}
    return {f"video.{name}": value for name, value in facts.items()} | {"video.is_depth_map": False, "has_audio": False}


def _names(first: Episode, key: str, width: int) -> list[str] | None:
    """Names of the values of a column: those the recording gave, else <field>_<i>."""
    if key == "observation.state":
        held = first.meta.get("state_names") or {}
        return [name for field, values in first.state.items() for name in _of(held.get(field), field, values.shape[1])]
    if key in ("action", "o2o.executed", "o2o.proposed"):
        return _of(first.meta.get("action_names"), "action", width)
    return None


def _of(given: Any, field: str, width: int) -> list[str]:
    if isinstance(given, list) and len(given) == width:
        return [str(name) for name in given]
    return [f"{field}_{i}" for i in range(width)]
