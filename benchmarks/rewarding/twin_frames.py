"""Peg episodes of the twin in this process, told frame by frame by the simulator whether the peg is in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from o2o_robot.data.episode import demonstrated
from o2o_robot.data.store import EpisodeStore
from o2o_robot.robot.action import DeltaPosition
from o2o_robot.robot.proprioception import proprioception
from o2o_robot.types import Array, Episode
from o2o_sim.config import PegConfig, TwinConfig
from o2o_sim.randomize_config import randomization
from o2o_sim.tasks.expert import ExpertConfig, PegExpert
from o2o_sim.twin import Twin

SPACE = DeltaPosition()
EXPERT = ExpertConfig(noise=0.3, bias_m=0.012, distracted=0.3)


@dataclass(frozen=True)
class Collection:
    """Which episodes: a randomization's name, scenes from first_seed, and an expert of this quality.

    hold_steps: how long the arm is held after the first success, as by a person who waits before stopping the record.
    """

    randomization: str = "mild"
    first_seed: int = 0
    n_episodes: int = 120
    clearance_m: float = 0.010
    image_size: int = 64
    max_steps: int = 30
    hold_steps: int = 3
    expert: ExpertConfig = EXPERT


def collect(path: Path, collection: Collection) -> EpisodeStore:
    """A new store of these episodes, open to read."""
    with EpisodeStore.create(path) as store:
        for episode in episodes(collection):
            store.append(episode)
    return EpisodeStore.open(path)


def episodes(collection: Collection) -> Iterator[Episode]:
    config = TwinConfig(
        image_size=collection.image_size,
        physics_hz=250,
        peg=PegConfig(clearance_m=collection.clearance_m),
        randomization=randomization(collection.randomization),
    )
    with Twin(config) as twin:
        for seed in range(collection.first_seed, collection.first_seed + collection.n_episodes):
            yield _episode(twin, seed, collection)


def _episode(twin: Twin, seed: int, collection: Collection) -> Episode:
    rng, expert = np.random.default_rng((seed, 1)), PegExpert(collection.expert)
    twin.reset(seed)
    expert.reset(rng)
    seen, actions, is_done = [_look(twin)], list[Array](), list[bool]()
    while len(actions) < collection.max_steps + collection.hold_steps and sum(is_done) <= collection.hold_steps:
        if len(actions) >= collection.max_steps and not is_done[-1]:
            break
        arm = twin.arm_state()
        moves = expert.act(twin.task_state(), arm, rng)
        # a hand keeps still once the peg is in: what slips out again would be no success, though it looks like one
        actions.append(np.zeros(3, np.float32) if is_done and is_done[-1] else moves)
        twin.step(SPACE.target(actions[-1], arm))
        seen.append(_look(twin))
        is_done.append(twin.task_state().success)
    return _assembled(seen, actions, is_done, seed)


def _look(twin: Twin) -> tuple[dict[str, Array], Array]:
    return twin.images(), proprioception(twin.arm_state())["tool_position_m"]


def _assembled(
    seen: Sequence[tuple[dict[str, Array], Array]], actions: Sequence[Array], is_done: Sequence[bool], seed: int
) -> Episode:
    """reward 1 is each step after which the peg is in; a success is an episode that ends so."""
    outcome = "success" if is_done[-1] else "failure"
    return demonstrated(
        {name: np.stack([images[name] for images, _ in seen]) for name in seen[0][0]},
        {"tool_position_m": np.stack([tool_m for _, tool_m in seen]).astype(np.float32)},
        (np.arange(len(seen)) * 100_000_000).astype(np.int64),
        np.stack(actions).astype(np.float32),
        np.array(is_done, np.float32),
        is_success=bool(is_done[-1]),
        meta={"id": f"twin-{seed:06d}", "task": "peg", "seed": seed, "outcome": outcome},
    )
