"""A clean store in small: an arm with two cameras that goes about its task, and nothing the matter with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from o2o_robot.types import Episode, Source

SIDE = 24
PERIOD_NS = 100_000_000
_VIEWS = {
    "wrist": np.random.default_rng(1).uniform(60, 120, (SIDE, SIDE, 3)),
    "front": np.linspace(30, 200, SIDE)[:, None, None] * np.ones((1, SIDE, 1)) * np.array([1.0, 0.7, 0.5]),
}


def clean_episode(number: int, *, n_steps: int | None = None, delay_steps: int = 0) -> Episode:
    """A smooth random motion of a tool in space; action t moves it by step t (or delay_steps later)."""
    rng = np.random.default_rng(100 + number)
    n_steps = n_steps or int(rng.integers(70, 110))
    rows = np.arange(n_steps)
    waves = rng.uniform(0.15, 0.6, (3, 3)), rng.uniform(0, 6, (3, 3))
    action = sum(np.sin(rows[:, None] * waves[0][i] + waves[1][i]) for i in range(3)) / 3.5
    moved = np.concatenate([np.zeros((delay_steps, 3)), action])[:n_steps]
    tool = np.concatenate([[rng.uniform(-0.05, 0.05, 3)], np.zeros((n_steps, 3))])
    tool[1:] = tool[0] + np.cumsum(0.02 * moved, axis=0)
    last, is_success = rows == n_steps - 1, number % 3 != 0
    return Episode(
        images={name: _pictures(view, tool, rng) for name, view in _VIEWS.items()},
        state={
            "q_rad": (np.tile(tool, 2) * 3 + 0.5).astype(np.float32),
            "tool_position_m": tool.astype(np.float32),
            "tool_quat_xyzw": np.tile([0, 0, 0, 1], (n_steps + 1, 1)).astype(np.float32) + _wobble(rows),
        },
        stamp_ns=np.arange(n_steps + 1, dtype=np.int64) * PERIOD_NS + rng.integers(0, 10**6, n_steps + 1),
        action=action.astype(np.float32),
        proposed=action.astype(np.float32),
        reward=(last & is_success).astype(np.float32),
        terminated=last & is_success,
        truncated=last & (not is_success),
        reasons=np.zeros(n_steps, np.uint32),
        source=np.full(n_steps, Source.TELEOP, np.uint8),
        revision=np.zeros(n_steps, np.int64),
        meta={"id": f"ep-{number}", "mode": "demo", "outcome": "success" if is_success else "failure"},
    )


def with_state(episode: Episode, name: str, change: Callable[[np.ndarray], np.ndarray]) -> Episode:
    """The episode with one state field changed; what it was given stays as it is."""
    state = {**episode.state, name: change(episode.state[name].copy()).astype(np.float32)}
    return dataclasses.replace(episode, state=state)


def with_images(episode: Episode, name: str, change: Callable[[np.ndarray], Any]) -> Episode:
    """The episode with the frames of one camera changed."""
    changed = np.clip(change(episode.images[name].astype(np.float32)), 0, 255).astype(np.uint8)
    return dataclasses.replace(episode, images={**episode.images, name: changed})


def _pictures(view: np.ndarray, tool: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The view with a bright square where the tool is, and the noise of a sensor."""
    frames = np.repeat(view[None], len(tool), axis=0)
    at = np.clip((tool[:, :2] + 0.3) / 0.6 * (SIDE - 6), 0, SIDE - 6).astype(int)
    for frame, (row, column) in zip(frames, at, strict=True):
        frame[row : row + 6, column : column + 6] = (230, 120, 40)
    return np.clip(frames + rng.normal(0, 2, frames.shape), 0, 255).astype(np.uint8)


def _wobble(rows: np.ndarray) -> np.ndarray:
    """A little rotation, so that no column stands still."""
    angle = 0.05 * np.sin(np.append(rows, len(rows)))[:, None]
    return np.asarray(np.concatenate([angle, angle, angle, -(angle**2)], axis=1), np.float32)
