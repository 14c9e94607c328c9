"""Run folders as one graph leaves them, small: what the tests of report and comparison read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from o2o_robot.data.store import EpisodeStore
from o2o_robot.jsonfile import append_line, write_json
from o2o_robot.types import Episode, Source

SIDE, N_STEPS = 12, 6


def an_episode(id_: str, seed: int, *, is_success: bool, human: Sequence[int] = ()) -> Episode:
    """N_STEPS steps, of which a person moved those in `human`; the guard changed the last."""
    rng = np.random.default_rng(seed)
    last = np.arange(N_STEPS) == N_STEPS - 1
    action = rng.uniform(-1, 1, (N_STEPS, 3)).astype(np.float32)
    source = np.full(N_STEPS, int(Source.POLICY), np.uint8)
    source[list(human)] = int(Source.TELEOP)
    return Episode(
        images={"wrist": rng.integers(0, 256, (N_STEPS + 1, SIDE, SIDE, 3), np.uint8)},
        state={"tool_position_m": rng.normal(size=(N_STEPS + 1, 3)).astype(np.float32)},
        stamp_ns=np.arange(N_STEPS + 1, dtype=np.int64) * 100_000_000,
        action=action,
        proposed=action,
        reward=(last & is_success).astype(np.float32),
        terminated=last & is_success,
        truncated=last & (not is_success),
        reasons=np.where(last, 2, 0).astype(np.uint32),
        source=source,
        revision=np.zeros(N_STEPS, np.int64),
        meta={"id": id_, "seed": seed, "outcome": "success" if is_success else "failure"},
    )


def a_finetuning(
    folder: Path, episodes: Sequence[tuple[str, bool]], *, human: Sequence[int] = (), utd: int = 1, first_seed: int = 0
) -> Path:
    """A folder of `o2o finetune`: (mode, success) of every episode, half a minute each."""
    settings = {"task": "peg", "seed": 0, "utd": utd, "run_dir": str(folder)}
    write_json(folder / "run.json", {"format": 1, "story": "finetune", "settings": settings, "versions": {"a": "1"}})
    with EpisodeStore.open_or_create(folder / "episodes.zarr") as store:
        for k, (mode, is_success) in enumerate(episodes):
            episode = an_episode(f"{mode}-{k:06d}", first_seed + k, is_success=is_success, human=human)
            store.append(episode)
            line = {"mode": mode, "n_steps": N_STEPS, "steps_before": k * N_STEPS, "steps_changed": 1, "robot_s": 30.0}
            ended = "task" if is_success else "time_limit"
            append_line(folder / "episodes.jsonl", {**episode.meta, **line, "termination": ended})
    n = len(episodes)
    write_json(folder / "policy_node.json", {"steps_published": n * N_STEPS})
    write_json(folder / "recorder_node.json", {"steps_stored": n * N_STEPS, "episodes_stored": n})
    write_json(folder / "learner_node.json", {"steps_received": n * N_STEPS, "updates": 5})
    return folder
