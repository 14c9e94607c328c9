"""Stores for the tests of labelling: episodes whose last frames show how they ended, and ones whose outcome is open."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from episode_examples import an_episode

from o2o_robot.data.store import EpisodeStore
from o2o_robot.types import Episode


def ended(seed: int, outcome: str, *, is_seen: bool | None = None, n_steps: int = 5, side: int = 16) -> Episode:
    """An episode in which a bright patch shows at the end where it truly succeeded (is_seen; as labelled unless told).

    All else in the pictures is noise of its own seed.
    """
    is_seen = outcome == "success" if is_seen is None else is_seen
    end, why = ("terminated", "task") if outcome == "success" else ("truncated", "operator")
    meta = {"id": f"ep-{seed}", "outcome": outcome, "termination": why}
    episode = an_episode(n_steps, seed=seed, side=side, cameras=("wrist",), end=end, meta=meta)
    frames = np.random.default_rng(seed).integers(0, 120, (n_steps + 1, side, side, 3)).astype(np.uint8)
    frames[-3:, 4:8, 4:8] = 220 if is_seen else 20
    return replace(episode, images={"wrist": frames})


def a_store(path: Path, outcomes: str) -> EpisodeStore:
    """Open to write. outcomes: a letter an episode: s, f as recorded, S, F open but truly so."""
    store = EpisodeStore.create(path)
    words = {"s": "success", "f": "failure", "S": "incomplete", "F": "incomplete"}
    for seed, letter in enumerate(outcomes):
        store.append(ended(seed, words[letter], is_seen=letter in "sS"))
    return store
