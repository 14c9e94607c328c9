"""RobotEnv over the twin: what `gymnasium.make("o2o/Peg-v0")` builds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from o2o_robot.robot.action import DeltaPosition
from o2o_robot.robot.arm import Arm
from o2o_robot.robot.env import RobotEnv
from o2o_sim.arm import MujocoArm
from o2o_sim.camera import MujocoCamera
from o2o_sim.config import TwinConfig
from o2o_sim.twin import Twin


def make_env(
    task: str = "peg",
    *,
    config: TwinConfig | None = None,
    action_scale_m: float = 0.025,
    max_steps: int = 50,
    guard: Callable[[Arm], Arm] | None = None,
    render_mode: str | None = None,
) -> RobotEnv:
    """An environment with a twin of its own. `guard` wraps the arm, e.g. `lambda arm: GuardedArm(arm, ...)`."""
    twin = Twin(replace(config or TwinConfig(), task=task))
    arm: Arm = MujocoArm(twin)
    return RobotEnv(
        guard(arm) if guard else arm,
        {name: MujocoCamera(twin, name) for name in twin.config.cameras},
        judge=twin.task_state,
        restart=twin.reset,
        wait=twin.advance,
        space=DeltaPosition(scale_m=action_scale_m),
        period_s=twin.config.period_s,
        max_steps=max_steps,
        render_mode=render_mode,
        on_close=twin.close,
    )
