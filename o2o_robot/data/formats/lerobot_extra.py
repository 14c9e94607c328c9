"""What an Episode holds and LeRobot has no place for: the final observation and the facts of meta, in one more table.

DATASET/meta/o2o_robot/episodes.parquet, one row an episode: episode_index, n_steps, first_stamp_ns, final_stamp_ns,
meta (JSON), fields (JSON: name and width of each), state (the fields one after the other), image/<camera> (PNG).
LeRobot's loader does not look there, so it sees T rows of T transitions and no made-up action; our reader finds the
observation T again. What else is ours stands in the rows, in columns o2o.*, which LeRobot's policies pass over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.data.action_range import ActionRange, scaled, unscaled
from o2o_robot.data.bags.pictures import picture
from o2o_robot.data.episode import from_arrays, meta_text, validate
from o2o_robot.data.formats import lerobot_table as table
from o2o_robot.data.formats.lerobot_write import png
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode

TABLE = Path("meta") / "o2o_robot" / "episodes.parquet"
COLUMNS = {  # of the rows: column -> field of the Episode
    "o2o.stamp_ns": "stamp_ns",
    "o2o.executed": "action",
    "o2o.proposed": "proposed",
    "next.reward": "reward",
    "next.terminated": "terminated",
    "next.truncated": "truncated",
    "o2o.reasons": "reasons",
    "o2o.source": "source",
    "o2o.revision": "revision",
}
_TYPES = {"terminated": np.bool_, "truncated": np.bool_, "reasons": np.uint32, "source": np.uint8}
_TYPES |= {"stamp_ns": np.int64, "revision": np.int64}


class Final(NamedTuple):
    """The last observation of an episode, and its facts. fields: name and width of each part of `state`."""

    n_steps: int
    first_stamp_ns: int
    stamp_ns: int
    state: Array
    fields: tuple[tuple[str, int], ...]
    meta: dict[str, Any]
    images: dict[str, bytes]


def is_there(root: Path) -> bool:
    """True where the dataset at `root` is an export of ours."""
    return (root / TABLE).is_file()


def read(root: Path, number: int) -> Final:
    """What was kept of episode `number`. Raises DataError where it is not there, or damaged."""
    path = root / TABLE
    try:
        return _final(table.record(path, number))
    except (KeyError, TypeError, ValueError, RecursionError) as problem:
        raise DataError(f"{path} is damaged ({problem}); delete it to read the dataset as plain LeRobot") from None


def _final(row: Mapping[str, Any]) -> Final:
    fields = tuple((str(name), int(width)) for name, width in json.loads(row["fields"]))
    meta = json.loads(row["meta"])
    state = np.asarray(row["state"], np.float32)
    if state.shape != (sum(width for _, width in fields),) or not isinstance(meta, dict):
        raise ValueError(f"state of episode {row['episode_index']} does not fit its fields")
    images = {name.removeprefix("image/"): bytes(cell) for name, cell in row.items() if name.startswith("image/")}
    stamps = int(row["first_stamp_ns"]), int(row["final_stamp_ns"])
    return Final(int(row["n_steps"]), *stamps, state, fields, meta, images)


def record(number: int, episode: Episode) -> dict[str, Any]:
    """The row of an episode in TABLE."""
    final = [values[-1] for values in episode.state.values()]
    return {
        "episode_index": number,
        "n_steps": len(episode),
        "first_stamp_ns": int(episode.stamp_ns[0]),
        "final_stamp_ns": int(episode.stamp_ns[-1]),
        "meta": meta_text(episode.meta),
        "fields": json.dumps([[name, values.shape[1]] for name, values in episode.state.items()]),
        "state": [float(value) for value in np.concatenate(final)] if final else [],
        **{f"image/{name}": png(pixels[-1]) for name, pixels in episode.images.items()},
    }


def restore(
    rows: Mapping[str, Array],
    images: Mapping[str, Array],
    final: Final,
    action_range: ActionRange | None,
    fields: tuple[str, ...] = (),
) -> Episode:
    """The Episode that was exported: rows (T, k) with the final observation behind, images (T+1, side, side, 3).

    fields: the state fields to take, () for all.
    action_range: scale the actions by this range, where it is not the one they were exported with.
    Raises DataError where the rows are not those that were exported.
    """
    stamps = rows["o2o.stamp_ns"][:, 0]
    if len(stamps) != final.n_steps or stamps[0] != final.first_stamp_ns:
        raise DataError(f"the rows were changed since the export; delete {TABLE} to read the dataset as plain LeRobot")
    named = {field: rows[column] for column, field in COLUMNS.items()}
    named = {field: values if field in _VECTORS else values[:, 0] for field, values in named.items()}
    named = {field: values.astype(_TYPES.get(field, np.float32)) for field, values in named.items()}
    named["stamp_ns"] = np.append(named["stamp_ns"], np.int64(final.stamp_ns))
    named |= _state(rows, final, fields) | {f"images/{name}": pixels for name, pixels in images.items()}
    meta = dict(final.meta)
    if action_range is not None:
        named |= {field: _rescaled(named[field], meta, action_range) for field in _VECTORS}
        meta |= {
            "action_low": [float(v) for v in action_range.low],
            "action_high": [float(v) for v in action_range.high],
        }
    episode = from_arrays(named, meta)
    validate(episode)
    return episode


_VECTORS = ("action", "proposed")


def last_picture(final: Final, camera: str, side: int) -> Array:
    """The frame of the final observation, (1, side, side, 3). Raises DataError where it was not kept."""
    if camera not in final.images:
        raise DataError(f"{TABLE} holds no final frame of '{camera}' (it has {', '.join(final.images) or 'none'})")
    return picture(table.Encoded("png", np.frombuffer(final.images[camera], np.uint8)), side)[None]


def _state(rows: Mapping[str, Array], final: Final, wanted: tuple[str, ...]) -> dict[str, Array]:
    names = [name for name, _ in final.fields]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(f"no state field {', '.join(missing)} (there are {', '.join(names) or 'none'})")
    if not names:
        return {}
    whole = np.concatenate([rows["observation.state"].astype(np.float32), final.state[None]])
    parts = np.split(whole, np.cumsum([width for _, width in final.fields])[:-1], axis=1)
    held = {name: np.ascontiguousarray(part) for name, part in zip(names, parts, strict=True)}
    return {f"state/{name}": held[name] for name in wanted or names}


def _rescaled(action: Array, meta: Mapping[str, Any], action_range: ActionRange) -> Array:
    low, high = meta.get("action_low"), meta.get("action_high")
    if low is None or high is None:
        raise DataError("its actions were never in raw units, so they cannot be scaled by another range")
    own = ActionRange(np.asarray(low, np.float64), np.asarray(high, np.float64))
    if np.array_equal(own.low, action_range.low) and np.array_equal(own.high, action_range.high):
        return action
    return scaled(unscaled(action, own), action_range, where="action")[0]
