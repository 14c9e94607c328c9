"""Episodes in which a bright patch shows success, and what else there is in the picture is chance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from episode_examples import an_episode

from o2o_robot.algorithms.encoder_checkpoint import EncoderShape
from o2o_robot.data.store import EpisodeStore
from o2o_robot.reward.familiar import ranges
from o2o_robot.reward.network import SuccessNet
from o2o_robot.reward.saved import RewardClassifier, RewardFacts
from o2o_robot.types import Array, Episode

SIDE = 16
SHAPE = EncoderShape("conv", ((8, 4, 4), (8, 3, 2)), 8, 0, 1, ("wrist", "front"), SIDE)


def frames(n: int, is_success: Array, seed: int) -> dict[str, Array]:
    """Two cameras of noise; success is a bright patch in the first, at a place of its own in each frame."""
    rng = np.random.default_rng(seed)
    images = {name: rng.integers(0, 120, (n, SIDE, SIDE, 3)).astype(np.uint8) for name in SHAPE.cameras}
    for t in np.flatnonzero(is_success):
        row, column = rng.integers(3, SIDE - 9, 2)
        images["wrist"][t, row : row + 6, column : column + 6] = 240
    return images


def ended(seed: int, outcome: str, *, n_steps: int = 12, n_held: int = 4) -> Episode:
    """A success is seen in its last n_held observations, each of which a reward led to."""
    is_success = np.arange(n_steps + 1) > n_steps - n_held if outcome == "success" else np.zeros(n_steps + 1, bool)
    end = "terminated" if outcome == "success" else "truncated"
    meta = {"id": f"ep-{seed}", "outcome": outcome, "termination": "task" if outcome == "success" else "time_limit"}
    episode = an_episode(n_steps, seed=seed, side=SIDE, end=end, meta=meta)
    return replace(episode, images=frames(n_steps + 1, is_success, seed), reward=is_success[1:].astype(np.float32))


def a_store(path: Path, outcomes: str) -> EpisodeStore:
    """Open to write; a letter an episode: s, f, or o for one whose outcome is open."""
    words = {"s": "success", "f": "failure", "o": "incomplete"}
    store = EpisodeStore.create(path)
    for seed, letter in enumerate(outcomes):
        store.append(ended(seed, words[letter]))
    return store


def untrained(seed: int = 0, **facts: object) -> RewardClassifier:
    """A classifier that has learnt nothing, for what only needs one."""
    import torch

    torch.manual_seed(seed)
    known = {
        "shape": SHAPE,
        "familiar": ranges(frames(20, np.arange(20) % 2 == 0, 0)),
        "temperature": 1.5,
        "bias": -0.2,
        "threshold": 0.8,
        "off": 0.3,
        "precision": 0.98,
        "held_out": {"n": 10, "precision": 1.0},
    }
    return RewardClassifier(SuccessNet(SHAPE), RewardFacts(**{**known, **facts}))  # type: ignore[arg-type]
