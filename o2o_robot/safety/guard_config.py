"""The guard's settings for a cell, presets, and the guard built from them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_robot.robot.kinematics import FR3_HAND_TCP_OFFSET_M, FR3_HAND_TCP_QUAT_XYZW, SerialArm
from o2o_robot.safety.command_check import CommandRules
from o2o_robot.safety.force import HardForce, SoftForce
from o2o_robot.safety.guard import Guard
from o2o_robot.safety.guard_state import GuardTimes
from o2o_robot.safety.joint_motion import JointMotion
from o2o_robot.safety.joint_position import JointBox
from o2o_robot.safety.joint_prediction import JointPrediction
from o2o_robot.safety.kinematics_agree import KinematicsAgree
from o2o_robot.safety.limit import Limit
from o2o_robot.safety.limits_table import FACTS, ArmFacts
from o2o_robot.safety.state_watch import StateTimes
from o2o_robot.safety.step_size import StepSize, tool_speed
from o2o_robot.safety.workspace import WorkspaceBox

Vec3 = tuple[float, float, float]


@dataclass(frozen=True)
class GuardConfig:
    """Chosen facts of one cell; the defaults are a real FR3 with its hand, slow and near.

    tool_*: from the flange. checkpoints_tool_m: x, y, z, x, y, z, ... of points that stay in the box with the tool.
    max_step_m and max_rotation_rad are per command, of which one comes each policy_period_s.
    state_*: see StateTimes. lockstep: physics waits for commands; only where nothing but a simulator can move.
    """

    robot: str = "fr3"
    joint_box: str = "conservative"
    tool_offset_m: Vec3 = FR3_HAND_TCP_OFFSET_M
    tool_quat_xyzw: tuple[float, float, float, float] = FR3_HAND_TCP_QUAT_XYZW
    workspace_min_m: Vec3 = (0.30, -0.25, 0.02)
    workspace_max_m: Vec3 = (0.65, 0.25, 0.45)
    checkpoints_tool_m: tuple[float, ...] = ()
    max_step_m: float = 0.008
    max_rotation_rad: float = 0.05
    max_speed_m_s: float = 0.25
    max_speed_rad_s: float = 0.5
    joint_margin_rad: float = 0.02
    joint_speed_scale: float = 0.5
    soft_force_n: float = 20.0
    hard_force_n: float = 45.0
    policy_period_s: float = 0.1
    tick_period_s: float = 0.01
    state_stop_s: float = 0.03
    state_latch_s: float = 0.2
    frozen_state_s: float = 0.05
    max_observation_age_s: float = 0.25
    max_future_s: float = 0.02
    resume_after_s: float = 0.5
    max_kinematic_error_m: float = 0.01
    n_values: int = 3
    lockstep: bool = False


def fr3() -> GuardConfig:
    """A real FR3 with Franka's hand."""
    return GuardConfig()


def ur5e() -> GuardConfig:
    """A real UR5e, poses in the controller's `base`, whose x axis points the other way round from base_link's."""
    return replace(
        fr3(),
        robot="ur5e",
        tool_offset_m=(0.0, 0.0, 0.0),
        tool_quat_xyzw=(0.0, 0.0, 0.0, 1.0),
        workspace_min_m=(-0.70, -0.30, 0.02),
        workspace_max_m=(-0.30, 0.30, 0.45),
    )


def twin() -> GuardConfig:
    """The simulated FR3: faster, since nothing breaks; clocks that other load on the machine may delay.

    A policy asks for at most 25 mm per axis, so up to 43 mm along a diagonal: max_step_m really acts. The peg's end
    is a checkpoint 60 mm below the hand's TCP; the table's top is at z = 0. The published joint box, since at the
    table's edges the conservative one shortens 6 % of random steps. Rigid simulated contact peaks at 160 N, for which a
    real arm's hard limit would latch.
    """
    return replace(
        fr3(),
        joint_box="published",
        workspace_min_m=(0.30, -0.30, 0.002),
        workspace_max_m=(0.70, 0.30, 0.50),
        checkpoints_tool_m=(0.0, 0.0, 0.06),
        max_step_m=0.035,
        max_rotation_rad=0.1,
        max_speed_m_s=0.5,
        max_speed_rad_s=1.0,
        joint_speed_scale=1.0,
        soft_force_n=60.0,
        hard_force_n=500.0,
        state_stop_s=0.3,
        state_latch_s=1.0,
        frozen_state_s=0.0,
        tick_period_s=0.02,
        resume_after_s=0.0,
    )


PRESETS = {"twin": twin, "fr3": fr3, "ur5e": ur5e}


def build_guard(config: GuardConfig) -> Guard:
    """The guard of these settings. Raises ConfigError or LimitError, naming the setting, where they are impossible."""
    return Guard(
        limits(config),
        times=GuardTimes(
            hold_s=1.5 * config.policy_period_s,
            stop_s=3.0 * config.policy_period_s,
            tick_gap_s=5.0 * config.tick_period_s,
            resume_s=config.resume_after_s,
            lockstep=config.lockstep,
        ),
        state_times=StateTimes(config.state_stop_s, config.state_latch_s, config.frozen_state_s, config.max_future_s),
        command_rules=CommandRules(config.n_values, config.max_observation_age_s, config.max_future_s),
        state_checks=(HardForce(config.hard_force_n),),
        engage_checks=(KinematicsAgree(_with_tool(config), config.max_kinematic_error_m),),
    )


def limits(config: GuardConfig) -> tuple[Limit, ...]:
    """In order: those that turn a step come first, those that only shorten it after, so these keep what those gave."""
    facts, predict = _facts(config), JointPrediction(_with_tool(config))
    return (
        SoftForce(config.soft_force_n),
        WorkspaceBox(
            np.array(config.workspace_min_m), np.array(config.workspace_max_m), checkpoints_m=_checkpoints_m(config)
        ),
        StepSize(config.max_step_m, config.max_rotation_rad),
        tool_speed(config.max_speed_m_s, config.max_speed_rad_s, period_s=config.policy_period_s),
        JointBox(predict, facts.min_rad, facts.max_rad, config.joint_margin_rad),
        JointMotion(predict, facts.envelope, config.joint_speed_scale, config.policy_period_s),
    )


def _facts(config: GuardConfig) -> ArmFacts:
    try:
        return FACTS[config.robot, config.joint_box]()
    except KeyError:
        known = ", ".join(f"{robot}/{box}" for robot, box in FACTS)
        raise ConfigError(
            f"no limits known for robot '{config.robot}' with joint_box '{config.joint_box}' (known: {known}); "
            "add your robot's published figures to limits_table.py"
        ) from None


def _with_tool(config: GuardConfig) -> SerialArm:
    return _facts(config).kinematics.with_tool(config.tool_offset_m, config.tool_quat_xyzw)


def _checkpoints_m(config: GuardConfig) -> np.ndarray:
    if len(config.checkpoints_tool_m) % 3:
        raise ConfigError(
            f"checkpoints_tool_m has {len(config.checkpoints_tool_m)} numbers; give x, y, z of each point"
        )
    return np.array(config.checkpoints_tool_m, np.float64).reshape(-1, 3)
