"""How often the scripted expert and a random policy succeed in each task of the twin. Writes results/tasks.json.

Through the same guarded environment that a policy is trained in, without cameras; noise 0, one start a seed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from o2o_robot.data.provenance import machine, versions
from o2o_robot.robot.env import RobotEnv
from o2o_robot.types import TaskState
from o2o_sim.config import TwinConfig
from o2o_sim.envs import make_env
from o2o_sim.registration import IDS
from o2o_sim.tasks.expert import make_expert

OUT = Path(__file__).parent / "results" / "tasks.json"
N_STARTS = 200
BLIND = TwinConfig(cameras=())

Act = Callable[[TaskState, np.random.Generator], np.ndarray]


def succeeds(env: RobotEnv, seed: int, act: Act) -> bool:
    """Run one episode."""
    rng = np.random.default_rng(seed)
    _, info = env.reset(seed=seed)
    for _ in range(1_000_000):  # the environment's time limit ends it
        task = TaskState(0, 0.0, success=False, privileged=info["privileged"])
        *_, terminated, truncated, info = env.step(act(task, rng))
        if terminated or truncated:
            break
    return bool(info["success"])


def expert_rate(env: RobotEnv, task: str, n: int) -> float:
    expert = make_expert(task)

    def of_start(seed: int) -> bool:
        expert.reset(np.random.default_rng(seed))
        return succeeds(env, seed, lambda state, rng: expert.act(state, env.arm_state, rng))

    return float(np.mean([of_start(seed) for seed in range(n)]))


def random_rate(env: RobotEnv, n: int) -> float:
    def act(state: TaskState, rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(-1.0, 1.0, env.action_space.shape).astype(np.float32)

    return float(np.mean([succeeds(env, seed, act) for seed in range(n)]))


def rates(settings: dict[str, Any], n: int = N_STARTS) -> dict[str, float]:
    """Shares of successes of one environment."""
    env = make_env(config=BLIND, **settings)
    try:
        return {"expert": expert_rate(env, settings["task"], n), "random": random_rate(env, n)}
    finally:
        env.close()


def main() -> None:
    figures = {}
    for env_id, settings in IDS.items():
        figures[env_id] = rates(settings)
        print(
            f"{env_id:24s} expert {figures[env_id]['expert']:6.1%}   random {figures[env_id]['random']:6.1%}",
            flush=True,
        )
    found = {"starts": N_STARTS, "figures": figures, "machine": machine(), "versions": versions()}
    OUT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
