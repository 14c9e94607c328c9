"""A foreign demonstration becomes an Episode: which keys, how large the frames, in what range, and how it ended."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from o2o_robot.data.action_range import ActionRange, covering, scaled
from o2o_robot.data.episode import demonstrated
from o2o_robot.data.formats import needs_libraries
from o2o_robot.data.formats.dataset import Wishes
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode, Outcome, Termination

MAX_ROWS = 1_000_000
MAX_EPISODE_BYTES = 4 << 30
BLOCK_BYTES = 64 << 20
MAX_ROW_BYTES = 300_000_000  # an RGB picture of decode.MAX_PIXELS
_WHOLE_FILE_BYTES = 64 << 20
_SAMPLE_BYTES = 1 << 16
_N_SAMPLES = 64
_ROUNDING = 1e-5
NOTHING = ("none",)


@dataclass(frozen=True)
class Demonstration:
    """An episode of T steps as its dataset holds it.

    action (T, k) in the dataset's unit; images name -> (T+1, H, W, 3) uint8; state name -> (T+1, k); stamp_ns (T+1,);
    reward (T,), zeros where none was recorded; outcome None: the dataset does not say how it ended.
    facts: what else is worth keeping in the episode's meta.
    """

    id: str
    images: Mapping[str, Array]
    state: Mapping[str, Array]
    stamp_ns: Array
    action: Array
    reward: Array
    outcome: Outcome | None = None
    task: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def episode_of(demonstration: Demonstration, wishes: Wishes, action_range: ActionRange | None) -> Episode:
    """The Episode, valid. Success terminates it; any other end, also a failure, is truncated: its value goes on.

    A success that only `wishes` tells puts 1 more than the highest reward on the last step. Raises DataError.
    """
    action, limits = in_range(demonstration.action, action_range, where=demonstration.id)
    outcome = demonstration.outcome or wishes.outcome
    is_success = outcome is Outcome.SUCCESS
    with np.errstate(over="ignore"):  # what is too large becomes infinite, which `validate` refuses
        reward = np.array(demonstration.reward, np.float32)
        state = {name: np.ascontiguousarray(values, np.float32) for name, values in demonstration.state.items()}
    if is_success and demonstration.outcome is None:
        reward[-1] = reward.max() + 1.0
    return demonstrated(
        dict(demonstration.images),
        state,
        demonstration.stamp_ns.astype(np.int64),
        action,
        reward,
        is_success=is_success,
        meta={
            "id": demonstration.id,
            "task": demonstration.task or wishes.task,
            "outcome": (outcome or Outcome.INCOMPLETE).value,
            "termination": (Termination.TASK if is_success else Termination.OPERATOR).value,
            **limits,
            **demonstration.facts,
        },
    )


def ended(episode: Episode, *, is_terminal: bool, otherwise: Termination) -> Episode:
    """The episode with its end as its dataset has it: a failure may be terminal, a success may be cut off.

    otherwise: what stopped it where it is not terminal.
    """
    last = np.arange(len(episode)) == len(episode) - 1
    meta = {**episode.meta, "termination": (Termination.TASK if is_terminal else otherwise).value}
    return replace(episode, terminated=last & is_terminal, truncated=last & (not is_terminal), meta=meta)


def outcome_from_reward(reward: Array) -> Outcome | None:
    """What rewards (T,) say of the end: a sparse reward that is at its higher value on the last step is a success.

    Sparse: two values at most, e.g. 0 and 1, or -1 and 0. A constant reward that is not positive says nothing (None);
    nor does a shaped one, whose last value only its task could explain.
    """
    values = np.unique(reward)
    if len(values) > 2 or (len(values) == 1 and values[0] <= 0):
        return None
    return Outcome.SUCCESS if reward[-1] == values[-1] else Outcome.INCOMPLETE


def in_range(action: Array, action_range: ActionRange | None, *, where: str) -> tuple[Array, dict[str, list[float]]]:
    """Actions (T, k) in [-1, 1], float32, and what the limits were, for meta. Raises DataError: beyond it."""
    if action_range is not None:
        low, high = ([float(value) for value in side] for side in action_range)
        return scaled(action, action_range, where=where)[0], {"action_low": low, "action_high": high}
    if is_beyond_unit(action):
        raise DataError(f"{where}: actions go to {np.abs(action).max():.3g}, beyond [-1, 1]; give an action range")
    return np.clip(action, -1.0, 1.0).astype(np.float32), {}


def is_beyond_unit(action: Array) -> bool:
    """True where actions leave [-1, 1] by more than rounding."""
    return bool((np.abs(action) > 1.0 + _ROUNDING).any())


def range_of(actions: Iterable[Array]) -> ActionRange | None:
    """The range over actions (N, k) of all episodes, None where they keep to [-1, 1] (or there are none)."""
    ends = [np.stack([each.min(axis=0), each.max(axis=0)]) for each in actions if len(each) and np.isfinite(each).all()]
    widths = {each.shape[1] for each in ends}
    if len(widths) > 1:
        raise DataError(f"actions have {sorted(widths)} values in different episodes; import them apart")
    found = np.concatenate(ends) if ends else np.zeros((0, 1))
    return covering(found) if is_beyond_unit(found) else None


def choose(held: Iterable[str], wanted: tuple[str, ...], *, what: str, where: str) -> list[str]:
    """The keys to take: `wanted` in its order, all of `held` where that is empty, none where it is ("none",).

    Raises DataError where one is missing.
    """
    held = list(held)
    if wanted == NOTHING:
        return []
    missing = [key for key in wanted if key not in held]
    if missing:
        raise DataError(f"{where}: no {what} '{missing[0]}'; it has {', '.join(held) or 'none'}")
    return list(wanted) or held


def resized(frames: Array, side: int) -> Array:
    """Frames (n, H, W, 1 or 3) as uint8 RGB (n, side, side, 3), averaged over each pixel's area where they shrink."""
    if frames.dtype != np.uint8:
        frames = _as_bytes(frames)
    if frames.shape[3] == 1:
        frames = np.repeat(frames, 3, axis=3)
    if frames.shape[1:3] == (side, side):
        return np.ascontiguousarray(frames)
    with needs_libraries("resizing images"):
        import cv2
    way = cv2.INTER_AREA if side < min(frames.shape[1:3]) else cv2.INTER_LINEAR
    return np.stack([cv2.resize(np.ascontiguousarray(frame), (side, side), interpolation=way) for frame in frames])


def is_picture(shape: tuple[int, ...], dtype: np.dtype) -> bool:
    """True for rows of images: uint8 (N, H, W, 1 or 3), or floats from 0 to 255 (N, H, W, 3)."""
    return len(shape) == 4 and (shape[3] == 3 or (shape[3] == 1 and dtype == np.uint8)) and min(shape[1:3]) >= 8


def blocks(start: int, stop: int, row_bytes: int) -> Iterator[tuple[int, int]]:
    """Row ranges that cover [start, stop), each of at most BLOCK_BYTES. Raises DataError where one row is too large."""
    if row_bytes > MAX_ROW_BYTES:
        raise DataError(f"one row has {row_bytes} bytes, more than {MAX_ROW_BYTES}; no camera or arm gives that")
    rows = max(1, BLOCK_BYTES // max(1, row_bytes))
    return ((at, min(at + rows, stop)) for at in range(start, stop, rows))


def check_size(n_rows: int, side: int, n_cameras: int, state_width: int, *, where: str) -> None:
    """Raises DataError where an episode would be larger in memory than any real one, before memory is asked for."""
    n_bytes = n_rows * (n_cameras * side * side * 3 + state_width * 8)
    if n_rows > MAX_ROWS or n_bytes > MAX_EPISODE_BYTES:
        raise DataError(
            f"{where}: an episode of {n_rows} rows and {n_bytes >> 20} MiB is beyond {MAX_ROWS} rows or "
            f"{MAX_EPISODE_BYTES >> 20} MiB; choose cameras, or a smaller image side"
        )


def stamps_ns(n_rows: int, hz: float) -> Array:
    """Stamps of rows that came without any: evenly at `hz` from 0."""
    return np.round(np.arange(n_rows) * (1e9 / hz)).astype(np.int64)


def plain_name(key: str) -> str:
    """A foreign key as a name of an array in a store: letters, digits, '_', '-', '.'."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", key)[:80]
    return name if re.match(r"[A-Za-z0-9_]", name) else f"_{name}"


def natural(name: str) -> list[tuple[int, str]]:
    """Sort key under which demo_2 comes before demo_10."""
    return [(int(part[:18]), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def fingerprint(files: Iterable[Path]) -> str:
    """The same for the same bytes wherever they lie: whole files up to 64 MiB, of larger ones 64 samples and the size.

    Samples are spread evenly and include both ends, so that files of which only the middle differs are told apart.
    """
    total = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        total.update(f"{size};".encode())
        whole = size <= _WHOLE_FILE_BYTES
        starts = range(0, size, _WHOLE_FILE_BYTES) if whole else np.linspace(0, size - _SAMPLE_BYTES, _N_SAMPLES)
        with file.open("rb") as stream:
            for start in starts:
                stream.seek(int(start))
                total.update(stream.read(_WHOLE_FILE_BYTES if whole else _SAMPLE_BYTES))
    return total.hexdigest()[:32]


def _as_bytes(frames: Array) -> Array:
    """Floats of pixels from 0 to 255, rounded. Raises DataError where they are something else."""
    low, high = float(np.min(frames)), float(np.max(frames))
    if not (low >= 0.0 and 1.0 < high <= 255.0):
        raise DataError(f"an image of {frames.dtype} goes from {low:g} to {high:g}; only pixels from 0 to 255 are read")
    return np.round(frames).astype(np.uint8)
