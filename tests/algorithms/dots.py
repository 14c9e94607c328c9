"""A tiny task seen through two cameras, drawn with NumPy: go to the red dot, not to the blue one, and come down on it.

It has the shape of the peg task (3 displacements per step, two 64x64 images, tool position) and none of its cost:
some 3,000 steps per second.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from o2o_robot.types import Array, Episode, Observation, ObservationSpec

SCALE_M = 0.025
LIMIT = 50
RED, BLUE, TOOL = (220, 40, 40), (40, 60, 220), (240, 240, 240)


def spec(side: int = 64) -> ObservationSpec:
    return ObservationSpec(("wrist", "front"), side, (("tool_position_m", 3),))


@dataclass
class DotTask:
    """Workspace 0.3 m x 0.3 m x 0.1 m. Success: within 10 mm of the red dot sideways and below 10 mm."""

    rng: np.random.Generator
    side: int = 64
    tool_m: Array = field(default_factory=lambda: np.zeros(3))
    red_m: Array = field(default_factory=lambda: np.zeros(2))
    blue_m: Array = field(default_factory=lambda: np.zeros(2))
    t: int = 0

    def reset(self) -> Observation:
        self.t = 0
        self.tool_m = np.r_[self.rng.uniform(0.05, 0.25, 2), self.rng.uniform(0.06, 0.1)]
        self.red_m = self.rng.uniform(0.03, 0.27, 2)
        self.blue_m = self.red_m
        while np.linalg.norm(self.blue_m - self.red_m) < 0.06:
            self.blue_m = self.rng.uniform(0.03, 0.27, 2)
        return self.observe()

    def step(self, action: Array) -> tuple[Observation, float, bool, bool]:
        """Observation, reward, terminated, truncated."""
        self.t += 1
        self.tool_m = np.clip(self.tool_m + SCALE_M * np.clip(action, -1, 1), 0.0, [0.3, 0.3, 0.1])
        success = bool(np.linalg.norm(self.tool_m[:2] - self.red_m) < 0.010 and self.tool_m[2] < 0.010)
        return self.observe(), float(success), success, self.t >= LIMIT and not success

    def observe(self) -> Observation:
        images = {"front": self._draw(np.array([0.15, 0.15]), 0.32), "wrist": self._draw(self.tool_m[:2], 0.16)}
        state = {"tool_position_m": self.tool_m.astype(np.float32)}
        return Observation(self.t * 100_000_000, images, state)

    def _draw(self, centre_m: Array, width_m: float) -> Array:
        axis = (np.arange(self.side) + 0.5) / self.side * width_m - width_m / 2
        image = np.full((self.side, self.side, 3), 90, np.uint8)
        marks = ((self.red_m, RED, 0.016), (self.blue_m, BLUE, 0.016), (self.tool_m[:2], TOOL, 0.006))
        for at_m, colour, radius_m in marks:
            dx, dy = axis[None, :] - (at_m[0] - centre_m[0]), axis[:, None] - (at_m[1] - centre_m[1])
            image[dx * dx + dy * dy < radius_m**2] = colour
        return image

    def expert(self, *, noise: float, goal_m: Array) -> Array:
        """Sideways first, then down; noisy."""
        off = goal_m - self.tool_m[:2]
        down = -1.0 if np.linalg.norm(off) < 0.012 else (0.03 - self.tool_m[2]) / SCALE_M
        wanted = np.r_[off / SCALE_M, down] + noise * self.rng.standard_normal(3)
        return np.clip(wanted, -1, 1).astype(np.float32)


def demonstrate(task: DotTask, *, noise: float, wrong: float) -> Episode:
    """One episode of the expert, who with probability `wrong` goes for the blue dot."""
    observations, actions, rewards = [task.reset()], [], []
    goal_m = task.blue_m if task.rng.random() < wrong else task.red_m
    bias = task.rng.normal(0, noise * 0.3, 3).astype(np.float32)
    while True:
        actions.append(np.clip(task.expert(noise=noise, goal_m=goal_m) + bias, -1, 1))
        observation, reward, terminated, truncated = task.step(actions[-1])
        observations.append(observation)
        rewards.append(reward)
        if terminated or truncated:
            return episode(observations, actions, rewards, terminated=terminated)


def episode(
    observations: list[Observation], actions: list[Array], rewards: list[float], *, terminated: bool
) -> Episode:
    """An Episode of what was seen and done."""
    n = len(actions)
    last = np.arange(n) == n - 1
    return Episode(
        images={name: np.stack([o.images[name] for o in observations]) for name in observations[0].images},
        state={"tool_position_m": np.stack([o.state["tool_position_m"] for o in observations])},
        stamp_ns=np.array([o.stamp_ns for o in observations], np.int64),
        action=np.stack(actions).astype(np.float32),
        proposed=np.stack(actions).astype(np.float32),
        reward=np.array(rewards, np.float32),
        terminated=last & terminated,
        truncated=last & (not terminated),
        reasons=np.zeros(n, np.uint32),
        source=np.zeros(n, np.uint8),
        revision=np.zeros(n, np.int64),
        meta={"outcome": "success" if terminated else "failure", "mode": "demo"},
    )
