"""The vital signs of an episode: a few numbers and thumbnails, from which a store of any size can be judged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from o2o_robot.data.episode import fields
from o2o_robot.data.health.camera_vitals import CameraVitals, camera_vitals
from o2o_robot.data.health.lag import Lag, lag
from o2o_robot.types import Array, Episode, Source

SATURATED = 0.999  # of the full scale of an action
FILM_ROWS = 16  # instants, evenly from first to last, at which actions of two episodes are compared
_GAP_PERIODS = 1.5


class Pace(NamedTuple):
    """How an episode ticks: mean rate without gaps, number of gaps (beyond 1.5 periods), and the longest wait."""

    rate_hz: float
    n_gaps: int
    longest_s: float


class Columns(NamedTuple):
    """What each column of an array (N, k) did, all (k,): extremes, standard deviation, largest and usual change a row.

    usual: the 95th percentile of the changes, so that a single leap does not hide itself.
    """

    low: Array
    high: Array
    spread: Array
    leap: Array
    usual: Array


class Vitals(NamedTuple):
    """One episode in small. number: its place in the store. saturated (k,): share of its actions at full scale;
    is_switch (k,): columns that are only ever at full scale or zero, as a gripper's.

    action_film (16, k) float16: the actions at even instants; action_digest: equal for equal actions, and no others.
    quat_norm: of the state fields that hold a quaternion, the norm furthest from one. sources: steps by who moved.
    """

    number: int
    id: str
    mode: str
    outcome: str
    termination: str
    n_steps: int
    length_s: float
    pace: Pace
    jitter_s: float
    reward_sum: float
    is_ended: bool
    sources: Mapping[Source, int]
    n_changed: int
    n_bytes: int
    layout: str
    cameras: Mapping[str, CameraVitals]
    state: Mapping[str, Columns]
    quat_norm: Mapping[str, float]
    action: Columns
    saturated: Array
    is_switch: Array
    action_film: Array
    action_digest: str
    lag: Lag | None


def vitals(number: int, episode: Episode) -> Vitals:
    """The vital signs of episode `number` of a store."""
    meta = {key: str(episode.meta.get(key, "")) for key in ("id", "mode", "outcome", "termination")}
    action, state = episode.action, state_matrix(episode)
    period_s = float(np.median(np.diff(episode.stamp_ns))) / 1e9
    return Vitals(
        number=number,
        **meta,
        n_steps=len(episode),
        length_s=(int(episode.stamp_ns[-1]) - int(episode.stamp_ns[0])) / 1e9,
        pace=pace(episode.stamp_ns),
        jitter_s=float(np.abs(np.diff(episode.stamp_ns) / 1e9 - period_s).mean()),
        reward_sum=float(episode.reward.sum()),
        is_ended=bool(episode.terminated[-1] or episode.truncated[-1]),
        sources={source: n for source in Source if (n := int((episode.source == source).sum()))},
        n_changed=int((episode.reasons != 0).sum()),
        n_bytes=sum(array.nbytes for array in (*episode.images.values(), *episode.state.values(), action)),
        layout=_layout(episode),
        cameras={name: camera_vitals(frames, state) for name, frames in episode.images.items()},
        state={name: columns(values) for name, values in episode.state.items()},
        quat_norm={n: _quat_norm(v) for n, v in episode.state.items() if "quat" in n and v.shape[1] == 4},
        action=columns(action),
        saturated=(np.abs(action) >= SATURATED).mean(axis=0),
        is_switch=((np.abs(action) >= SATURATED) | (action == 0)).all(axis=0),
        action_film=action[even_rows(len(action), FILM_ROWS)].astype(np.float16),
        action_digest=hashlib.sha256(np.ascontiguousarray(action).data).hexdigest(),
        lag=lag(action, state, period_s),
    )


def pace(stamp_ns: Array) -> Pace:
    """The pace of stamps (N,), N >= 2, in nanoseconds."""
    wait_s = np.diff(stamp_ns) / 1e9
    is_gap = wait_s > _GAP_PERIODS * float(np.median(wait_s))
    period_s = float(wait_s[~is_gap].mean())
    return Pace(1.0 / period_s if period_s > 0 else float("inf"), int(is_gap.sum()), float(wait_s.max()))


def columns(values: Array) -> Columns:
    """The columns of values (N, k), N >= 1."""
    change = np.abs(np.diff(values, axis=0)) if len(values) > 1 else np.zeros((1, values.shape[1]))
    spread = values.std(axis=0, dtype=np.float64)
    return Columns(values.min(0), values.max(0), spread, change.max(0), np.percentile(change, 95, axis=0))


def even_rows(n_rows: int, n: int) -> Array:
    """n row numbers (n,), evenly from the first to the last of n_rows; some twice where there are fewer."""
    return np.linspace(0, n_rows - 1, n).round().astype(np.int64)


def state_matrix(episode: Episode) -> Array:
    """Every column of the state, in the order of its fields: (T + 1, k) float64."""
    return np.concatenate([np.zeros((len(episode) + 1, 0)), *episode.state.values()], axis=1)


def _quat_norm(values: Array) -> float:
    norms = np.linalg.norm(values, axis=1)
    return float(norms[np.argmax(np.abs(norms - 1.0))])


def _layout(episode: Episode) -> str:
    """Every array less its number of rows, e.g. images/wrist 64x64x3 uint8."""
    shapes = []
    for name, (shape, dtype) in fields(episode).items():
        row = "x".join(map(str, shape[1:]))
        shapes.append(" ".join(part for part in (name, row, dtype) if part))
    return ", ".join(shapes)
