"""Rows of a table become an Episode: which rows are ticks, what was done from each to the next, how it ended.

All columns of a row have its one stamp, so at a tick the latest values are those of the row itself, and nothing of a
later row is seen. N ticks are N - 1 steps: the last row's action leads nowhere that was recorded.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from o2o_robot.data import align
from o2o_robot.data.action_range import ActionRange
from o2o_robot.data.formats.dataset import Wishes
from o2o_robot.data.formats.demonstration import (
    Demonstration,
    check_size,
    choose,
    episode_of,
    outcome_from_reward,
    stamps_ns,
)
from o2o_robot.data.formats.table_layout import TableLayout, TimeColumn
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode, Outcome

_UNIT = 1e-3  # how far from 1 the norm of a quaternion may be
_MAX_NS = 4e18
Rows = Mapping[str, Array]


def build(rows: Rows, layout: TableLayout, *, id: str, wishes: Wishes, action_range: ActionRange | None) -> Episode:
    """The Episode of the columns `layout.columns` names, (N, k) each. Raises DataError saying which row is wrong."""
    stamp_ns = _stamps(rows, layout)
    tick = ticks(stamp_ns, layout)
    choose((), wishes.cameras, what="camera", where=id)
    fields = choose(layout.state, wishes.state, what="state field", where=id)
    check_size(len(tick), 0, 0, sum(rows[f"state/{name}"].shape[1] for name in fields), where=id)
    reward = _reward(rows, tick)
    demonstration = Demonstration(
        id=id,
        images={},
        state={name: rows[f"state/{name}"][tick] for name in fields},
        stamp_ns=stamp_ns[tick],
        action=_done(rows, layout, tick),
        reward=np.zeros(len(tick) - 1) if reward is None else reward,
        outcome=_outcome(rows),
        task=layout.task,
        facts={"layout": layout.name, "rows": len(stamp_ns), "rows_without_new_stamp": _n_repeated(stamp_ns)},
    )
    return episode_of(demonstration, wishes, action_range)


def action(rows: Rows, layout: TableLayout) -> Array:
    """What was done from each tick to the next, (T, k) float64 in the unit of the table."""
    return _done(rows, layout, ticks(_stamps(rows, layout), layout))


def ticks(stamp_ns: Array, layout: TableLayout) -> Array:
    """The rows (T+1,) that are ticks: of equal stamps the last, then those nearest to a grid of rate_hz (align.py).

    Raises DataError where time goes back, where there is a gap, or where no whole step is left.
    """
    ordered = align.in_order(stamp_ns)
    if len(ordered.backward):
        row = int(ordered.backward[0])
        raise DataError(f"time goes back at row {row}; a table is one episode, split it there")
    every = ordered.stamp_ns
    chosen = align.decimate(every, layout.rate_hz) if layout.rate_hz else np.arange(len(every))
    if len(chosen) < 2:
        raise DataError(f"{len(stamp_ns)} rows give {len(chosen)} ticks; there is no whole step in it")
    period_ns = float(np.median(np.diff(every[chosen])))
    holes = align.gaps(every[chosen], layout.max_gap_periods * period_ns)
    if len(holes):
        row, gap_s = int(ordered.position[chosen[holes[0]]]), np.diff(every[chosen])[holes[0]] / 1e9
        raise DataError(f"{gap_s:.3f} s pass after row {row}; split the table there, or raise max_gap_periods")
    return ordered.position[chosen]


def _stamps(rows: Rows, layout: TableLayout) -> Array:
    if layout.time is None:
        return stamps_ns(len(next(iter(rows.values()))), float(layout.rows_hz or 0.0))
    return _told(rows["time"], layout.time)


def _told(column: Array, time: TimeColumn) -> Array:
    if column.shape[1] != 1:
        raise DataError(f"time has {column.shape[1]} columns, expected 1")
    stamp = column[:, 0] * time.to_ns
    if not (np.isfinite(stamp).all() and (np.abs(stamp) < _MAX_NS).all()):
        raise DataError(f"time is not finite, or beyond 126 years in {time.unit}; check `unit`")
    return np.round(stamp).astype(np.int64)


def _done(rows: Rows, layout: TableLayout, tick: Array) -> Array:
    if layout.action.kind == "command":
        return rows["action"][tick[:-1]]
    seen = rows[f"state/{layout.action.of}"][tick]
    if layout.action.kind == "delta_joint":
        return np.diff(seen, axis=0)
    return _pose_change(seen, layout.action.of)


def _pose_change(pose: Array, name: str) -> Array:
    from o2o_robot.data.ingest.derive import pose_change  # it knows of bags, whose libraries a table does not need

    if pose.shape[1] != 7:
        raise DataError(f"delta_pose needs 7 numbers (m, quaternion xyzw), '{name}' has {pose.shape[1]}")
    off = np.abs(np.linalg.norm(pose[:, 3:], axis=1) - 1.0)
    if not (off <= _UNIT).all():
        raise DataError(f"the quaternion of '{name}' is {off.max():.3g} off norm 1 at tick {int(np.argmax(off))}")
    return pose_change(pose).astype(np.float64)


def _reward(rows: Rows, tick: Array) -> Array | None:
    """The sum over the rows of each step; the last step takes those after its own to the end of the table.

    So a reward of the very last row counts, and unthinned it takes the place of the one before, as in robomimic.py.
    """
    if "reward" not in rows:
        return None
    each = _single(rows, "reward")
    steps = np.add.reduceat(each, np.append(0, tick[1:-1]))
    return np.append(steps[:-1], each[tick[-2] + 1 :].sum())


def _outcome(rows: Rows) -> Outcome | None:
    """By its own column, else by the rewards of the rows, before they are summed."""
    if "outcome" in rows:
        return Outcome.SUCCESS if _single(rows, "outcome")[-1] > 0 else Outcome.FAILURE
    return outcome_from_reward(_single(rows, "reward")) if "reward" in rows else None


def _single(rows: Rows, name: str) -> Array:
    if rows[name].shape[1] != 1:
        raise DataError(f"{name} has {rows[name].shape[1]} columns, expected 1")
    return rows[name][:, 0]


def _n_repeated(stamp_ns: Array) -> int:
    return len(stamp_ns) - len(align.in_order(stamp_ns).stamp_ns)
