"""robomimic's HDF5: data/demo_i/{actions, rewards, dones, states, obs/*, next_obs/*}, written by it or by robosuite.

Rows are (obs, action, reward, done). With next_obs the episode has all N steps, its final observation next_obs[-1].
Without, the last action leads nowhere that was seen: N - 1 steps, and the last of them takes the reward and the end of
the row that is left out. `dones` marks success, the end of a demonstration, or both (done_mode of robomimic's
conversion script), so it does not tell a success from a time limit: the rewards do (demonstration.outcome_from_reward),
unless the file has `terminated` and `truncated`, as our own export does. Old robosuite demonstrations have no obs:
their simulator states become the state field `states`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.data.action_range import ActionRange
from o2o_robot.data.formats import hdf5_file as hdf5
from o2o_robot.data.formats.dataset import Format, Wishes
from o2o_robot.data.formats.demonstration import (
    Demonstration,
    blocks,
    check_size,
    choose,
    episode_of,
    fingerprint,
    is_picture,
    outcome_from_reward,
    plain_name,
    range_of,
    resized,
    stamps_ns,
)
from o2o_robot.data.formats.robomimic_mark import Mark, as_recorded, read_mark
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode

_SUFFIXES = (".hdf5", ".h5")
_MAX_WIDTH = 4096  # values of a state field
_DEFAULT_HZ = 20.0  # robosuite's control_freq where a file does not say


class _Layout(NamedTuple):
    """What a demonstration holds: rows N, steps T, camera and state keys in the file's words, what was passed over."""

    n_rows: int
    n_steps: int
    cameras: list[str]
    state: list[str]
    left_out: list[str]
    state_width: int


class Robomimic:
    """The demonstrations of one file, in natural order. The file is opened for each read and closed again."""

    kind = "robomimic"

    def __init__(self, path: Path) -> None:
        """Raises DataError where the file has no demonstrations."""
        self.path = path
        hdf5.check_heaps(path)
        with hdf5.opened(path) as file:
            data = hdf5.subgroup(file, "data")
            self._task, self._hz = _environment(data)
            self._demos = [name for name in hdf5.members(data) if name.startswith("demo")]
            self._filters = _filter_keys(file)
        if not self._demos:
            raise DataError(f"{path}: no demonstrations under data/ (demo_0, demo_1, ...)")

    def __len__(self) -> int:
        return len(self._demos)

    def fingerprint(self) -> str:
        return fingerprint([self.path])

    def action_range(self) -> ActionRange | None:
        """Over every demonstration whose actions can be read; robomimic promises [-1, 1], and some files exceed it."""
        actions = []
        with hdf5.opened(self.path) as file:
            for name in self._demos:
                try:
                    actions.append(_actions(hdf5.subgroup(hdf5.subgroup(file, "data"), name)))
                except DataError:
                    continue
        return range_of(actions)

    def read(self, number: int, wishes: Wishes, action_range: ActionRange | None) -> Episode:
        """Demonstration `number`. wishes.cameras and .state name keys of obs; of our own files, the store's names."""
        name = self._demos[number]
        with hdf5.opened(self.path) as file:
            demo = hdf5.subgroup(hdf5.subgroup(file, "data"), name)
            ours = read_mark(demo)
            episode = episode_of(self._read(demo, name, wishes, ours), wishes, action_range)
            return as_recorded(demo, episode, ours)

    def _read(self, demo: Any, name: str, wishes: Wishes, ours: Mark | None) -> Demonstration:
        layout = _layout(demo)
        cameras = {key: key for key in layout.cameras} if ours is None else ours.camera_keys(layout.cameras)
        state = layout.state if ours is None else ours.state_keys(layout.state)
        where = f"{self.path.name}:{name}"
        taken = choose(cameras, wishes.cameras, what="camera", where=where)
        fields = choose(state, wishes.state, what="state field", where=where)
        check_size(layout.n_steps + 1, wishes.image_side, len(taken), layout.state_width, where=where)
        reward = _reward(demo, layout)
        facts: dict[str, Any] = {"filter_keys": self._filters[name]} if name in self._filters else {}
        return Demonstration(
            id=f"{self.path.stem}-{name}",
            images={plain_name(each): _frames(demo, cameras[each], layout, wishes.image_side) for each in taken},
            state={plain_name(key): _field(demo, key, layout) for key in fields},
            stamp_ns=stamps_ns(layout.n_steps + 1, self._hz),
            action=_actions(demo)[: layout.n_steps],
            reward=reward,
            outcome=outcome_from_reward(reward),
            task=self._task,
            facts=facts | ({"left_out": layout.left_out} if layout.left_out else {}),
        )


def _actions(demo: Any) -> Array:
    action = hdf5.values(demo, "actions")
    if action.ndim != 2 or not action.size:
        raise DataError(f"{demo.name}/actions has shape {action.shape}, expected (N, k)")
    return action.astype(np.float64)


def _layout(demo: Any) -> _Layout:
    n_rows = hdf5.array(demo, "actions").shape[0]
    stated = hdf5.integer(demo, "num_samples")
    if stated not in (None, n_rows):
        raise DataError(f"{demo.name}: num_samples is {stated}, but there are {n_rows} actions")
    holder = hdf5.subgroup(demo, "obs") if hdf5.has(demo, "obs") else demo
    keys = hdf5.members(holder) if holder is not demo else ["states"]
    found: dict[str, list[str]] = {"camera": [], "state": [], "": []}
    width = 0
    for key in keys:
        dataset = hdf5.array(holder, key)
        kind = _kind(dataset, n_rows)
        found[kind].append(key)
        width += math.prod(dataset.shape[1:]) if kind == "state" else 0
    cameras, state, left_out = found.values()
    n_steps = n_rows if _has_final(demo, [*cameras, *state]) else n_rows - 1
    if n_steps < 1:
        raise DataError(f"{demo.name} has {n_rows} rows and no next_obs; there is no whole step in it")
    return _Layout(n_rows, n_steps, cameras, state, left_out, width)


def _kind(dataset: Any, n_rows: int) -> str:
    if dataset.shape[0] != n_rows:
        raise DataError(f"{dataset.name} has {dataset.shape[0]} rows, but there are {n_rows} actions")
    if is_picture(dataset.shape, dataset.dtype):
        return "camera"
    return "state" if len(dataset.shape) <= 3 and math.prod(dataset.shape[1:]) in range(1, _MAX_WIDTH + 1) else ""


def _has_final(demo: Any, keys: list[str]) -> bool:
    if not hdf5.has(demo, "next_obs"):
        return False
    following = hdf5.subgroup(demo, "next_obs")
    return all(hdf5.has(following, key) for key in keys)


def _sources(demo: Any, key: str, layout: _Layout) -> list[tuple[Any, int, int]]:
    """Where the T + 1 rows of `key` come from: (dataset, start, stop)."""
    holder = hdf5.subgroup(demo, "obs") if hdf5.has(demo, "obs") else demo
    rows = [(hdf5.array(holder, key), 0, layout.n_rows)]
    if layout.n_steps == layout.n_rows:
        final = hdf5.array(hdf5.subgroup(demo, "next_obs"), key)
        if final.shape != rows[0][0].shape:
            raise DataError(f"{final.name} has shape {final.shape}, {rows[0][0].name} {rows[0][0].shape}")
        rows.append((final, layout.n_rows - 1, layout.n_rows))
    return rows


def _frames(demo: Any, key: str, layout: _Layout, side: int) -> Array:
    pieces = []
    for dataset, start, stop in _sources(demo, key, layout):
        row_bytes = math.prod(dataset.shape[1:]) * dataset.dtype.itemsize
        pieces += [resized(hdf5.rows(dataset, low, high), side) for low, high in blocks(start, stop, row_bytes)]
    return np.concatenate(pieces)


def _field(demo: Any, key: str, layout: _Layout) -> Array:
    rows = np.concatenate([hdf5.rows(*source) for source in _sources(demo, key, layout)])
    return rows.reshape(len(rows), -1)


def _reward(demo: Any, layout: _Layout) -> Array:
    if not hdf5.has(demo, "rewards"):
        return np.zeros(layout.n_steps)
    rows = hdf5.values(demo, "rewards").astype(np.float64).reshape(-1)
    if len(rows) != layout.n_rows:
        raise DataError(f"{demo.name}/rewards has {len(rows)} rows, but there are {layout.n_rows} actions")
    reward = rows[: layout.n_steps].copy()
    reward[-1] = rows[-1]
    return reward


def _environment(data: Any) -> tuple[str, float]:
    """The task's name and the control rate, as far as the file says them."""
    try:
        stated = json.loads(hdf5.text(data, "env_args") or hdf5.text(data, "env_info") or "{}")
        settings = stated.get("env_kwargs") or stated
        hz = float(settings.get("control_freq", _DEFAULT_HZ))
        name = str(stated.get("env_name") or hdf5.text(data, "env"))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return "", _DEFAULT_HZ
    return name[:200], hz if 0.1 <= hz <= 10_000 else _DEFAULT_HZ


def _filter_keys(file: Any) -> dict[str, list[str]]:
    """Demonstration -> the filter keys (train, valid, ...) whose mask names it."""
    found: dict[str, list[str]] = {}
    if hdf5.has(file, "mask"):
        masks = hdf5.subgroup(file, "mask")
        for key in hdf5.members(masks):
            for demo in hdf5.strings(masks, key):
                found.setdefault(demo, []).append(plain_name(key))
    return found


def _recognises(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and path.is_file()


FORMAT = Format("robomimic HDF5", _recognises, Robomimic)
