"""Episodes for the tests of the data side: random but reproducible, of any shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from o2o_robot.types import Episode, Executed, Observation, Source, Step


def an_episode(
    n_steps: int = 5,
    *,
    seed: int = 0,
    cameras: tuple[str, ...] = ("wrist", "front"),
    side: int = 8,
    n_action: int = 3,
    end: str = "truncated",
    meta: dict[str, Any] | None = None,
) -> Episode:
    """A valid episode; `end` is "terminated" (reward 1 on the last step), "truncated" or "open".

    Frame t of every camera is filled with (seed * 40 + t) % 251, and state field "tool_position_m" with
    seed * 1000 + t, so that a test can read off which observation of which episode it was given.
    """
    rng = np.random.default_rng(seed)
    rows = np.arange(n_steps + 1)
    frames = np.broadcast_to(
        ((seed * 40 + rows) % 251).astype(np.uint8)[:, None, None, None], (n_steps + 1, side, side, 3)
    )
    last = np.arange(n_steps) == n_steps - 1
    return Episode(
        images={camera: frames.copy() for camera in cameras},
        state={
            "q_rad": rng.normal(size=(n_steps + 1, 7)).astype(np.float32),
            "tool_position_m": np.repeat((seed * 1000 + rows)[:, None], 3, axis=1).astype(np.float32),
        },
        stamp_ns=(rows * 100_000_000).astype(np.int64),
        action=rng.uniform(-1, 1, (n_steps, n_action)).astype(np.float32),
        proposed=rng.uniform(-1, 1, (n_steps, n_action)).astype(np.float32),
        reward=(last & (end == "terminated")).astype(np.float32),
        terminated=last & (end == "terminated"),
        truncated=last & (end == "truncated"),
        reasons=rng.integers(0, 2**32, n_steps, dtype=np.uint32),
        source=rng.integers(0, 4, n_steps, dtype=np.uint8),
        revision=rng.integers(0, 2**40, n_steps, dtype=np.int64),
        meta={"id": f"ep-{seed}"} if meta is None else meta,
    )


def steps_of(episode: Episode, name: str = "ep") -> list[Step]:
    """The stream of Steps that `episode` would have been recorded from."""
    return [_step(episode, name, t) for t in range(len(episode) + 1)]


def _step(episode: Episode, name: str, t: int) -> Step:
    seen = Observation(
        stamp_ns=int(episode.stamp_ns[t]),
        images={camera: images[t] for camera, images in episode.images.items()},
        state={field: values[t] for field, values in episode.state.items()},
    )
    if t == len(episode):
        return Step(name, t, seen)
    executed = Executed(
        stamp_ns=seen.stamp_ns,
        seq=t,
        values=episode.action[t],
        proposed=episode.proposed[t],
        reasons=int(episode.reasons[t]),
        source=Source(int(episode.source[t])),
        revision=int(episode.revision[t]),
    )
    ends = {"terminated": bool(episode.terminated[t]), "truncated": bool(episode.truncated[t])}
    return Step(name, t, seen, executed, reward=float(episode.reward[t]), **ends)
