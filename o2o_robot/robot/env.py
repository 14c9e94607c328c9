"""A Gymnasium environment over any arm, any cameras and whatever judges the task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from o2o_robot.errors import ConfigError
from o2o_robot.robot.action import DeltaPosition
from o2o_robot.robot.arm import Arm
from o2o_robot.robot.camera import Camera
from o2o_robot.robot.proprioception import proprioception
from o2o_robot.types import ArmState, Array, TaskState

Nested = dict[str, dict[str, Array]]
_BOUND = 100.0  # rad, rad/s or m: wider than any arm; finite because Gymnasium asks for it


class RobotEnv(gymnasium.Env[Nested, Array]):
    """Observation {"images": {camera: (H, W, 3) uint8}, "state": {field: (k,) float32}}; action (n_action,) in [-1, 1].

    env = RobotEnv(arm, cameras, judge=twin.task_state, restart=twin.reset, wait=twin.advance)
    observation, info = env.reset(seed=7)
    observation, reward, terminated, truncated, info = env.step(action)
    stored.append(info["executed"])     # what the arm was really told, not `action`

    reward is the judge's, raw. `terminated` is the task's end (success or failure); the time limit is `truncated` and
    never both, since a learner bootstraps through the one and not through the other.
    `restart(seed)` puts arm and objects at a start that depends on the seed alone. `wait(s)` lets the period pass: the
    twin's `advance`, or a sleep until the next tick on a real arm. Put the guarded arm in here, not the bare one.
    `grip(opening_m)` moves the gripper, where `space` has one.
    """

    def __init__(
        self,
        arm: Arm,
        cameras: Mapping[str, Camera],
        *,
        judge: Callable[[], TaskState],
        restart: Callable[[int], None],
        wait: Callable[[float], None],
        grip: Callable[[float], None] | None = None,
        space: DeltaPosition | None = None,
        period_s: float = 0.1,
        max_steps: int = 50,
        render_mode: str | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        if max_steps < 1 or period_s <= 0:
            raise ConfigError(f"max_steps={max_steps} must be >= 1 and period_s={period_s} > 0")
        self._arm, self._cameras, self._judge = arm, cameras, judge
        self._restart, self._wait, self._on_close = restart, wait, on_close
        self._space, self._grip = space or DeltaPosition(), grip
        self._period_s, self._max_steps = period_s, max_steps
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": round(1 / period_s)}
        self.render_mode = render_mode
        self.action_space = spaces.Box(-1.0, 1.0, (self._space.n_action,), np.float32)
        self._state = arm.read()
        self._images = self._see()
        felt = proprioception(self._state)
        self.observation_space: Any = spaces.Dict(
            {
                "images": spaces.Dict({k: spaces.Box(0, 255, v.shape, np.uint8) for k, v in self._images.items()}),
                "state": spaces.Dict({k: spaces.Box(-_BOUND, _BOUND, v.shape, np.float32) for k, v in felt.items()}),
            }
        )
        self._n_steps = 0

    @property
    def arm_state(self) -> ArmState:
        """The arm as the latest observation saw it; actions are counted from here."""
        return self._state

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Nested, dict[str, Any]]:
        """Restart from `seed`, or without one from the next number of the stream that the last seed began."""
        super().reset(seed=seed)
        self._restart(int(self.np_random.integers(2**31)) if seed is None else seed)
        self._n_steps = 0
        nothing = np.zeros(self._space.n_action, np.float32)
        return self._observe(), self._info(self._judge(), executed=nothing, reasons=0)

    def step(self, action: Array) -> tuple[Nested, float, bool, bool, dict[str, Any]]:
        """Ask for the motion, let one period pass, look. Raises ArmError for an action that is not finite."""
        asked = np.clip(action, -1.0, 1.0)
        sent = self._arm.command(self._space.target(asked, self._state))
        executed = self._space.executed(sent.target, self._state, asked)
        opening_m = self._space.opening_m(asked)
        if self._grip is not None and opening_m is not None:
            self._grip(opening_m)
        self._wait(self._period_s)
        self._n_steps += 1
        observation, task = self._observe(), self._judge()
        terminated = task.success or task.failure
        truncated = not terminated and self._n_steps >= self._max_steps
        info = self._info(task, executed=executed, reasons=sent.reasons)
        return observation, float(task.reward), terminated, truncated, info

    def render(self) -> Array | None:
        """All cameras side by side, (H, total width, 3) uint8, where render_mode is "rgb_array"."""
        return np.concatenate(list(self._images.values()), axis=1) if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Hold the arm, then let go of cameras and world."""
        self._arm.hold()
        for camera in self._cameras.values():
            camera.close()
        if self._on_close is not None:
            self._on_close()

    def _observe(self) -> Nested:
        self._state, self._images = self._arm.read(), self._see()
        return {"images": self._images, "state": proprioception(self._state)}

    def _see(self) -> dict[str, Array]:
        return {name: camera.read().image for name, camera in self._cameras.items()}

    def _info(self, task: TaskState, *, executed: Array, reasons: int) -> dict[str, Any]:
        return {"success": task.success, "executed": executed, "reasons": reasons, "privileged": task.privileged}
