"""Episodes of the twin's tool sent here and there, with known settings of its controller and a known delay."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from o2o_robot.data.store import EpisodeStore
from o2o_robot.robot.action import DeltaPosition
from o2o_robot.types import ArmState, Array, Episode
from o2o_sim.config import ImpedanceConfig, TwinConfig
from o2o_sim.twin import Twin

SPACE = DeltaPosition()
PERIOD_S = 0.1


def moved_store(folder: Path, impedance: ImpedanceConfig, *, late_s: float, n_episodes: int, n_steps: int) -> Path:
    """A store at 10 Hz; every action reaches the arm late_s after its observation."""
    path = folder / "moved.zarr"
    config = TwinConfig(task="reach", cameras=(), impedance=impedance)
    with Twin(config) as twin, EpisodeStore.create(path) as store:
        for k in range(n_episodes):
            store.append(moved_episode(twin, k, late_s, n_steps))
    return path


def moved_episode(twin: Twin, seed: int, late_s: float, n_steps: int) -> Episode:
    rng = np.random.default_rng(seed)
    twin.reset(seed)
    seen, actions = [twin.arm_state()], []
    for t in range(n_steps):
        actions.append(action(rng, t))
        twin.advance(late_s)
        twin.aim(SPACE.target(actions[-1], seen[-1]))
        twin.advance(PERIOD_S - late_s)
        seen.append(twin.arm_state())
    return _episode(seen, np.array(actions, np.float32), seed)


def action(rng: np.random.Generator, t: int) -> Array:
    """Swings with rests between them, so that delay and slowness can be told apart."""
    if t % 5 == 4:
        return np.zeros(3, np.float32)
    return rng.uniform(-1.0, 1.0, 3).astype(np.float32)


def _episode(seen: list[ArmState], actions: Array, seed: int) -> Episode:
    n = len(actions)
    state = {
        "q_rad": np.array([state.q_rad for state in seen], np.float32),
        "tool_position_m": np.array([state.tool.position_m for state in seen], np.float32),
        "tool_quat_xyzw": np.array([state.tool.quat_xyzw for state in seen], np.float32),
    }
    return Episode(
        images={},
        state=state,
        stamp_ns=np.array([state.stamp_ns for state in seen], np.int64),
        action=actions,
        proposed=actions,
        reward=np.zeros(n, np.float32),
        terminated=np.zeros(n, bool),
        truncated=np.arange(n) == n - 1,
        reasons=np.zeros(n, np.uint32),
        source=np.zeros(n, np.uint8),
        revision=np.zeros(n, np.int64),
        meta={"id": f"moved-{seed}", "task": "reach", "seed": seed},
    )
