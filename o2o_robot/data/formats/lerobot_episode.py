"""Rows of a LeRobot episode become an Episode: which rows are transitions, and how it ended.

A LeRobot row t holds o(t), a(t) and what followed from them (next.reward, next.done), but no o(N) after the last row.
So N rows are N - 1 transitions, and the last action goes. Where the last row is terminal, nothing is ever learned from
the observation after it, but its reward counts: there all N rows are kept, and o(N-1) stands for o(N)
(meta "final_observation" is "repeated").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.data.action_range import ActionRange
from o2o_robot.data.formats.dataset import Wishes
from o2o_robot.data.formats.demonstration import Demonstration, ended, episode_of, outcome_from_reward, stamps_ns
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode, Outcome, Termination

FLAGS = ("next.done", "next.success", "next.terminated", "next.truncated")
ENDS = (*FLAGS, "next.reward")
GRID_TOLERANCE = 0.25  # of a period: rows further from their tick than this were filtered or joined


class Ending(NamedTuple):
    """What the last row says of the end; None where it does not say."""

    outcome: Outcome | None
    is_terminal: bool | None
    is_time_limit: bool


def build(
    rows: Mapping[str, Array],
    images: Mapping[str, Array],
    state: Mapping[str, Array],
    *,
    id: str,
    task: str,
    fps: float,
    action_range: ActionRange | None,
    wishes: Wishes,
    facts: Mapping[str, Any],
) -> Episode:
    """The Episode of N rows of columns (N, k). images (N, side, side, 3), state (N, k).

    Raises DataError where rows are missing or too few, an end is set before the last row, or a value is not finite.
    """
    n_rows = len(rows["action"])
    _check_grid(rows, fps)
    end = ending(rows)
    is_terminal = (end.outcome or wishes.outcome) is Outcome.SUCCESS if end.is_terminal is None else end.is_terminal
    is_repeated = is_terminal and any(name in rows for name in ENDS)
    n_steps = n_rows if is_repeated else n_rows - 1
    if n_steps < 1:
        raise DataError("one row has no next observation, so there is no transition to learn from")
    seen = np.minimum(np.arange(n_steps + 1), n_rows - 1)
    demonstration = Demonstration(
        id=id,
        images={name: pixels[seen] if is_repeated else pixels for name, pixels in images.items()},
        state={name: values[seen] for name, values in state.items()},
        stamp_ns=stamps_ns(n_steps + 1, fps),
        action=rows["action"][:n_steps],
        reward=_reward(rows, end, n_steps),
        outcome=end.outcome,
        task=task,
        facts={**facts, "final_observation": "repeated"} if is_repeated else facts,
    )
    stop = Termination.TIME_LIMIT if end.is_time_limit else Termination.OPERATOR
    return ended(episode_of(demonstration, wishes, action_range), is_terminal=is_terminal, otherwise=stop)


def ending(rows: Mapping[str, Array]) -> Ending:
    """How an episode ended by its own account: next.success, else a sparse next.reward that is high at the end.

    next.terminated makes an end terminal, else success does; next.done alone is a time limit. Raises DataError where
    a flag that ends an episode is set before the last row.
    """
    flags = {name: _flag(rows[name], name) for name in FLAGS if name in rows}
    for name in flags.keys() - {"next.success"}:
        early = np.flatnonzero(flags[name][:-1])
        if len(early):
            raise DataError(f"{name} is set at row {early[0]} of {len(flags[name])}; an episode ends at its last row")
    last = {name: bool(values[-1]) for name, values in flags.items()}
    outcome = None
    if "next.success" in last:
        outcome = Outcome.SUCCESS if last["next.success"] else Outcome.FAILURE
    elif "next.reward" in rows and last.get("next.done", True):
        outcome = outcome_from_reward(rows["next.reward"][:, 0])
    is_time_limit = last.get("next.truncated", last.get("next.done", False))
    return Ending(outcome, last.get("next.terminated"), is_time_limit)


def _reward(rows: Mapping[str, Array], end: Ending, n_steps: int) -> Array:
    """The rewards as they are; without any 1 on the last step of what the dataset calls a success."""
    if "next.reward" in rows:
        return rows["next.reward"][:n_steps, 0].astype(np.float32)
    last = np.arange(n_steps) == n_steps - 1
    return (last & (end.outcome is Outcome.SUCCESS)).astype(np.float32)


def _flag(values: Array, name: str) -> Array:
    flag = values[:, 0]
    if not np.isin(flag, (0, 1)).all():
        raise DataError(f"{name} is {flag[~np.isin(flag, (0, 1))][0]}, expected true or false")
    return flag.astype(bool)


def _check_grid(rows: Mapping[str, Array], fps: float) -> None:
    """Rows must be all there and in order, and lie on the ticks of fps: frames are found by them."""
    n_rows = len(rows["action"])
    ticks = np.arange(n_rows)
    if "frame_index" in rows and (rows["frame_index"][:, 0] != ticks).any():
        row = int(np.argmax(rows["frame_index"][:, 0] != ticks))
        raise DataError(f"row {row} has frame_index {rows['frame_index'][row, 0]}, expected {row}; rows are missing")
    if "timestamp" in rows:
        ticked = rows["timestamp"][:, 0].astype(np.float64) * fps
        off = ~(np.abs(ticked - ticks) <= GRID_TOLERANCE)
        if off.any():
            row = int(np.argmax(off))
            raise DataError(f"row {row} is at {ticked[row] / fps:.3f} s, expected {row / fps:.3f} s at {fps:g} Hz")
