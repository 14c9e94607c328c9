"""Scripted experts that read the simulator's state and are wrong by a tunable amount. Needs no simulator itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_robot.types import ArmState, TaskState


@dataclass(frozen=True)
class ExpertConfig:
    """How wrong the expert is; with noise, bias_m and distracted at 0 it is perfect.

    noise: std of Gaussian noise on the action values. bias_m: std of an aim error in x and in y, drawn once an episode.
    distracted: probability that an episode goes for the distractor. speed: the largest action value it aims for, 1
    being the most the arm is allowed; people are slower than that.
    """

    noise: float = 0.0
    bias_m: float = 0.0
    distracted: float = 0.0
    speed: float = 0.5
    action_scale_m: float = 0.025

    def __post_init__(self) -> None:
        if self.noise < 0 or self.bias_m < 0 or not 0 <= self.distracted <= 1:
            raise ConfigError(
                f"noise={self.noise} and bias_m={self.bias_m} must be >= 0, distracted={self.distracted} in [0, 1]"
            )
        if not 0 < self.speed <= 1:
            raise ConfigError(f"speed must be in (0, 1], got {self.speed}; 0.5 is a calm hand")


class Expert(Protocol):
    """expert.reset(rng); while running: values = expert.act(task_state, arm_state, rng)"""

    def reset(self, rng: np.random.Generator) -> None:
        """Draw what stays wrong for a whole episode."""
        ...

    def act(self, task: TaskState, arm: ArmState, rng: np.random.Generator) -> np.ndarray:
        """Action values (3,) float32 in [-1, 1]: tool displacement over action_scale_m; a fourth for a gripper."""
        ...


class PegExpert:
    """Goes above the socket, then down into it; while off the hole's axis it stays above the rim."""

    HOVER_M = 0.018
    ALIGNED_M = 0.006
    PRESS_M = 0.025

    def __init__(self, config: ExpertConfig) -> None:
        self._config = config
        self._bias_m = np.zeros(2)
        self._aim = slice(0, 3)

    def reset(self, rng: np.random.Generator) -> None:
        self._bias_m = rng.normal(0.0, 1.0, 2) * self._config.bias_m
        self._aim = slice(3, 6) if rng.random() < self._config.distracted else slice(0, 3)

    def act(self, task: TaskState, arm: ArmState, rng: np.random.Generator) -> np.ndarray:
        rim_m, tip_m = task.privileged[self._aim], task.privileged[6:9]
        aim_m = rim_m + np.array([*self._bias_m, 0.0])
        off_axis_m = float(np.hypot(*(aim_m - tip_m)[:2]))
        inside = tip_m[2] < rim_m[2] - 0.002
        descend = inside or off_axis_m < self.ALIGNED_M + self._config.noise * self._config.action_scale_m
        height_m = -self.PRESS_M if descend else self.HOVER_M + 0.3 * off_axis_m
        displacement_m = aim_m + np.array([0.0, 0.0, height_m]) - tip_m
        return _wrong_by_noise(displacement_m, self._config, rng)


class ReachExpert:
    """Goes straight to the sphere. There is no distractor, so `distracted` has no effect."""

    def __init__(self, config: ExpertConfig) -> None:
        self._config = config
        self._bias_m = np.zeros(3)

    def reset(self, rng: np.random.Generator) -> None:
        self._bias_m = np.append(rng.normal(0.0, 1.0, 2) * self._config.bias_m, 0.0)

    def act(self, task: TaskState, arm: ArmState, rng: np.random.Generator) -> np.ndarray:
        goal_m, tip_m = task.privileged[:3], task.privileged[3:6]
        return _wrong_by_noise(goal_m + self._bias_m - tip_m, self._config, rng)


class LiftExpert:
    """Goes above the cube, down around it, closes, and goes up once the pads stand still on it.

    There is no distractor, so `distracted` has no effect. Noise is on the motion, not on the gripper.
    """

    HOVER_M = 0.05
    ALIGNED_M = 0.006
    AT_IT_M = 0.012
    CLOSED_ON_M = 0.062  # an opening below this holds a cube of up to 0.06 m, or is about to
    RAISED_M = 0.14

    def __init__(self, config: ExpertConfig) -> None:
        self._config = config
        self._bias_m = np.zeros(3)
        self._opening_m = np.inf

    def reset(self, rng: np.random.Generator) -> None:
        self._bias_m = np.append(rng.normal(0.0, 1.0, 2) * self._config.bias_m, 0.0)
        self._opening_m = np.inf

    def act(self, task: TaskState, arm: ArmState, rng: np.random.Generator) -> np.ndarray:
        cube_m, tip_m = task.privileged[:3], task.privileged[3:6]
        aim_m = cube_m + self._bias_m
        off_axis_m = float(np.hypot(*(aim_m - tip_m)[:2]))
        is_at_it = off_axis_m < self.AT_IT_M and abs(tip_m[2] - cube_m[2]) < self.AT_IT_M
        is_held = is_at_it and arm.gripper_m < self.CLOSED_ON_M and self._opening_m - arm.gripper_m < 0.001
        self._opening_m = arm.gripper_m
        if is_held:
            displacement_m = np.array([0.0, 0.0, self.RAISED_M - tip_m[2]])
        elif is_at_it:
            displacement_m = np.zeros(3)
        else:
            descend = off_axis_m < self.ALIGNED_M + self._config.noise * self._config.action_scale_m
            displacement_m = aim_m + np.array([0.0, 0.0, 0.0 if descend else self.HOVER_M]) - tip_m
        return np.append(_wrong_by_noise(displacement_m, self._config, rng), np.float32(-1.0 if is_at_it else 1.0))


EXPERTS: dict[str, type[PegExpert] | type[ReachExpert] | type[LiftExpert]] = {
    "peg": PegExpert,
    "reach": ReachExpert,
    "lift": LiftExpert,
}


def make_expert(task: str, config: ExpertConfig | None = None) -> Expert:
    """The scripted expert of a task. Raises ConfigError where the task has none."""
    if task not in EXPERTS:
        raise ConfigError(f"no scripted expert for task '{task}'; there are {', '.join(EXPERTS)}")
    return EXPERTS[task](config or ExpertConfig())


def _wrong_by_noise(displacement_m: np.ndarray, config: ExpertConfig, rng: np.random.Generator) -> np.ndarray:
    values = np.clip(displacement_m / config.action_scale_m, -config.speed, config.speed)
    noisy = values + rng.normal(0.0, 1.0, 3) * config.noise
    return np.clip(noisy, -1.0, 1.0).astype(np.float32)
