"""Episodes of a policy on the twin, in this process and without ROS: to validate, not to collect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from o2o_robot.policy import Policy
from o2o_robot.types import Observation, ObservationSpec

if TYPE_CHECKING:
    from o2o_robot.robot.env import RobotEnv
    from o2o_sim.config import TwinConfig

FIRST_SEED = 950_000  # of no scene that the demo collects, trains or evaluates on


@dataclass(frozen=True)
class TwinTask:
    """What is run on the twin, and from which starts."""

    task: str = "peg"  # task of the twin
    max_steps: int = 50  # steps after which an episode has failed
    clearance_m: float = 0.002  # peg task: gap between peg and hole on each side; the demo's is 0.010
    first_seed: int = FIRST_SEED  # seed of the first start; the others follow it

    def seeds(self, n: int) -> range:
        """The first n starts."""
        return range(self.first_seed, self.first_seed + n)


def twin_config(task: TwinTask, spec: ObservationSpec) -> TwinConfig:
    """The twin with the cameras that the spec looks through. MuJoCo is loaded here and not before."""
    from o2o_sim.config import PegConfig, TwinConfig

    return TwinConfig(
        task=task.task,
        cameras=spec.cameras,
        image_size=spec.image_size if spec.cameras else TwinConfig().image_size,
        peg=PegConfig(clearance_m=task.clearance_m),
    )


@contextmanager
def twin_env(task: TwinTask, spec: ObservationSpec) -> Iterator[RobotEnv]:
    """An environment over that twin."""
    from o2o_sim.envs import make_env

    env = make_env(task.task, config=twin_config(task, spec), max_steps=task.max_steps)
    try:
        yield env
    finally:
        env.close()


def successes(
    policy: Policy, env: RobotEnv, seeds: Sequence[int], *, on_episode: Callable[[bool], None] = lambda success: None
) -> list[bool]:
    """Success of one episode of the policy's mean action from each start."""
    outcomes = []
    for seed in seeds:
        outcomes.append(succeeds(policy, env, seed))
        on_episode(outcomes[-1])
    return outcomes


def succeeds(policy: Policy, env: RobotEnv, seed: int) -> bool:
    """Run one episode."""
    policy.begin_episode()
    seen, info = env.reset(seed=seed)
    for i in range(1_000_000):  # the environment's time limit ends it
        observation = Observation(i, seen["images"], seen["state"])
        seen, _, terminated, truncated, info = env.step(policy.act(observation, deterministic=True))
        if terminated or truncated:
            break
    return bool(info["success"])
