"""Small learners and batches for the tests: 16x16 images, narrow networks, everything seeded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from o2o_robot.algorithms.actor_critic import ActorCritic
from o2o_robot.algorithms.config import AlgoConfig
from o2o_robot.data.returns import RewardTransform
from o2o_robot.presets import calql
from o2o_robot.types import Batch, Executed, Observation, ObservationSpec, Step

SPEC = ObservationSpec(("wrist", "front"), 16, (("tool_position_m", 3),))
TRANSFORM = RewardTransform(1.0, -1.0, 0.97)


def small(config: AlgoConfig | None = None, **changes: object) -> AlgoConfig:
    """The config (calql unless told), small and in float32."""
    narrow = {"critic_widths": (32, 32), "actor_widths": (32, 32), "convs": ((8, 4, 4),), "batch_size": 16}
    return replace(config or calql(), **narrow, precision="f32", image_latent=8, state_latent=8, **changes)


def learner(config: AlgoConfig | None = None, *, seed: int = 0) -> ActorCritic:
    return ActorCritic(config or small(), SPEC, 3, TRANSFORM, seed=seed)


def batch(rows: int = 16, *, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)

    def images() -> dict[str, np.ndarray]:
        return {name: rng.integers(0, 256, (rows, 16, 16, 3), np.uint8) for name in SPEC.cameras}

    return Batch(
        images=images(),
        next_images=images(),
        state=rng.normal(size=(rows, 3)).astype(np.float32),
        next_state=rng.normal(size=(rows, 3)).astype(np.float32),
        action=rng.uniform(-1, 1, (rows, 3)).astype(np.float32),
        reward=(rng.random(rows) < 0.2).astype(np.float32),
        terminated=rng.random(rows) < 0.2,
        mc_return=rng.uniform(-33, 0, rows).astype(np.float32),
    )


def observation(*, seed: int = 0) -> Observation:
    rng = np.random.default_rng(seed)
    images = {name: rng.integers(0, 256, (16, 16, 3), np.uint8) for name in SPEC.cameras}
    return Observation(0, images, {"tool_position_m": rng.normal(size=3).astype(np.float32)})


def stream(n_episodes: int, length: int, *, first: int = 0) -> list[Step]:
    """Steps of whole episodes of `length` transitions each, all truncated."""
    steps = []
    for e in range(first, first + n_episodes):
        for i in range(length + 1):
            action = np.random.default_rng((e, i)).uniform(-1, 1, 3).astype(np.float32)
            executed = Executed(0, i, action, action) if i < length else None
            steps.append(Step(f"e{e}", i, observation(seed=100 * e + i), executed, truncated=i == length - 1))
    return steps
