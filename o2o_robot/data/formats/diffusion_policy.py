"""diffusion_policy's replay buffer: zarr v2 with data/* of one row a step and meta/episode_ends, a folder or .zarr.zip.

Row t is what was seen and the action that was then sent, so an episode of N rows has N - 1 steps; the last action leads
nowhere that was recorded. Cameras are uint8 (N, H, W, 3), or floats from 0 to 255; all else of few values is state.
`timestamp` (seconds) gives the stamps where it is there; `reward` says how an episode ended, where it is there.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from o2o_robot.data.action_range import ActionRange
from o2o_robot.data.formats.dataset import Format, Wishes
from o2o_robot.data.formats.demonstration import (
    MAX_ROWS,
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
from o2o_robot.data.formats.zarr_v2 import Folder, ZarrArray, Zip, open_array
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode

_HZ = 10.0  # the rate of diffusion_policy's real robots, where no timestamp is stored
_NOT_SEEN = ("action", "reward", "timestamp")
_MAX_WIDTH = 4096


class ReplayBuffer:
    """The episodes between one entry of meta/episode_ends and the next."""

    kind = "diffusion_policy"

    def __init__(self, path: Path) -> None:
        """Raises DataError where the buffer has no episodes, or arrays with fewer rows than they need."""
        self.path = path
        self._files = Zip(path) if path.is_file() else Folder(path)
        self._arrays = {name: open_array(self._files, f"data/{name}") for name in self._files.arrays("data")}
        self._ends = _episode_ends(open_array(self._files, "meta/episode_ends"))
        if "action" not in self._arrays or len(self._arrays["action"].shape) != 2:
            raise DataError(f"{path}: there is no data/action of shape (N, k)")
        short = [name for name, array in self._arrays.items() if array.shape[0] < self._ends[-1]]
        if short:
            n_rows = self._arrays[short[0]].shape[0]
            raise DataError(f"{path}: data/{short[0]} has {n_rows} rows, but episodes end at {self._ends[-1]}")

    def __len__(self) -> int:
        return len(self._ends)

    def fingerprint(self) -> str:
        if self.path.is_file():
            return fingerprint([self.path])
        whole = [file for name in ("meta/episode_ends", "data/action") for file in _files_of(self.path / name)]
        ends = [_files_of(self.path / "data" / name) for name in self._arrays]
        return fingerprint([*whole, *(file for files in ends for file in (files[0], files[-1]))])

    def action_range(self) -> ActionRange | None:
        action = self._arrays["action"]
        return range_of(action.rows(low, high) for low, high in blocks(0, self._ends[-1], action.row_bytes))

    def read(self, number: int, wishes: Wishes, action_range: ActionRange | None) -> Episode:
        start, stop = (self._ends[number - 1] if number else 0), self._ends[number]
        where = f"{self.path.name.split('.')[0]}-{number}"
        if stop - start < 2:
            raise DataError(f"{where}: {stop - start} row is no whole step; there must be a next observation")
        cameras, fields = self._keys(wishes, where)
        widths = sum(math.prod(self._arrays[key].shape[1:]) for key in fields)
        check_size(stop - start, wishes.image_side, len(cameras), widths, where=where)
        reward = self._reward(start, stop)
        demonstration = Demonstration(
            id=where,
            images={plain_name(key): self._frames(key, start, stop, wishes.image_side) for key in cameras},
            state={plain_name(key): _flat(self._arrays[key].rows(start, stop)) for key in fields},
            stamp_ns=self._stamps(start, stop),
            action=self._arrays["action"].rows(start, stop - 1).astype(np.float64),
            reward=reward,
            outcome=outcome_from_reward(reward),
        )
        return episode_of(demonstration, wishes, action_range)

    def _keys(self, wishes: Wishes, where: str) -> tuple[list[str], list[str]]:
        held = {name: array for name, array in self._arrays.items() if name not in _NOT_SEEN}
        cameras = [name for name, array in held.items() if is_picture(array.shape, array.dtype)]
        fields = [
            name
            for name, array in held.items()
            if name not in cameras and len(array.shape) <= 3 and math.prod(array.shape[1:]) <= _MAX_WIDTH
        ]
        return (
            choose(cameras, wishes.cameras, what="camera", where=where),
            choose(fields, wishes.state, what="state field", where=where),
        )

    def _frames(self, key: str, start: int, stop: int, side: int) -> Array:
        array = self._arrays[key]
        pieces = [resized(array.rows(low, high), side) for low, high in blocks(start, stop, array.row_bytes)]
        return np.concatenate(pieces)

    def _reward(self, start: int, stop: int) -> Array:
        """Rewards of the steps; the last of them takes that of the row that is left out."""
        if "reward" not in self._arrays or math.prod(self._arrays["reward"].shape[1:]) != 1:
            return np.zeros(stop - start - 1)
        rows = self._arrays["reward"].rows(start, stop).reshape(-1).astype(np.float64)
        return np.concatenate([rows[:-2], rows[-1:]])

    def _stamps(self, start: int, stop: int) -> Array:
        array = self._arrays.get("timestamp")
        if array is None or array.shape[1:] not in ((), (1,)):
            return stamps_ns(stop - start, _HZ)
        seconds = array.rows(start, stop).reshape(-1).astype(np.float64)
        if not (np.isfinite(seconds).all() and (np.abs(seconds) < 9e9).all() and (np.diff(seconds) > 0).all()):
            raise DataError(f"data/timestamp does not rise from row {start} to {stop}")
        return np.round(seconds * 1e9).astype(np.int64)


def _episode_ends(array: ZarrArray) -> list[int]:
    if len(array.shape) != 1 or array.dtype.kind not in "iu" or array.shape[0] > MAX_ROWS:
        raise DataError(f"meta/episode_ends has shape {array.shape} and {array.dtype}, expected (n_episodes,) integers")
    ends = [int(end) for end in array.rows(0, array.shape[0])]
    if any(after <= before for before, after in zip([0, *ends[:-1]], ends, strict=True)):
        raise DataError("meta/episode_ends does not rise; each episode needs at least one row")
    return ends


def _files_of(folder: Path) -> list[Path]:
    """An array's description and its chunks, sorted: the description is the first."""
    return sorted(file for file in folder.rglob("*") if file.is_file())


def _flat(rows: Array) -> Array:
    return rows.reshape(len(rows), -1)


def _recognises(path: Path) -> bool:
    if path.name.lower().endswith(".zarr.zip"):
        return path.is_file()
    return (path / "meta" / "episode_ends" / ".zarray").is_file()


FORMAT = Format("diffusion_policy replay buffer", _recognises, ReplayBuffer)
