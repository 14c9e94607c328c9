"""RobotEnv over the twin: what `gymnasium.make("o2o/Peg-v0")` builds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from o2o_robot.robot.action import DeltaPosition, DeltaPositionGripper
from o2o_robot.robot.env import RobotEnv
from o2o_robot.safety.guard_config import GuardConfig, build_guard
from o2o_robot.safety.guarded_arm import GuardedArm
from o2o_sim.arm import MujocoArm
from o2o_sim.camera import MujocoCamera
from o2o_sim.cell import cell_limits
from o2o_sim.config import TwinConfig
from o2o_sim.twin import Twin


def make_env(
    task: str = "peg",
    *,
    config: TwinConfig | None = None,
    robot: str | None = None,
    clearance_m: float | None = None,
    action_scale_m: float = 0.025,
    max_steps: int = 50,
    guard: GuardConfig | None = None,
    render_mode: str | None = None,
    set_scene: Callable[[Twin, int], None] = Twin.reset,
) -> RobotEnv:
    """An environment with a twin of its own, behind the guard of the twin's limits or of those given.

    task, robot and clearance_m (of the peg task) replace what config says. set_scene(twin, seed) puts the world where
    an episode starts: drawn from the seed, unless told. The action is (3,), and (4,) where the task has a gripper.
    """
    config = _config(config or TwinConfig(), task, robot, clearance_m)
    limits = replace(guard or cell_limits(config), lockstep=True)
    twin = Twin(config)
    bare = MujocoArm(twin)
    arm = GuardedArm(bare, build_guard(limits))
    space = DeltaPosition(scale_m=action_scale_m)
    if twin.has_gripper:
        space = DeltaPositionGripper(scale_m=action_scale_m, open_m=twin.max_opening_m)

    def restart(seed: int) -> None:
        """A new scene is a new cell: whatever stopped or latched the guard is gone with the old one."""
        set_scene(twin, seed)
        arm.guard.disengage()
        arm.guard.reset()
        arm.engage()

    return RobotEnv(
        arm,
        {name: MujocoCamera(twin, name) for name in twin.config.cameras},
        judge=twin.task_state,
        restart=restart,
        wait=twin.advance,
        grip=bare.grip if twin.has_gripper else None,
        space=space,
        period_s=twin.config.period_s,
        max_steps=max_steps,
        render_mode=render_mode,
        on_close=twin.close,
    )


def _config(config: TwinConfig, task: str, robot: str | None, clearance_m: float | None) -> TwinConfig:
    config = replace(config, task=task, robot=robot or config.robot)
    return config if clearance_m is None else replace(config, peg=replace(config.peg, clearance_m=clearance_m))
