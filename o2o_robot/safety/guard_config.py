"""The guard's settings for a cell, presets, and the guard built from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from o2o_robot.errors import ConfigError, LimitError
from o2o_robot.robot.kinematics import FR3_HAND_TCP_OFFSET_M, FR3_HAND_TCP_QUAT_XYZW, SerialArm
from o2o_robot.safety.body import BodyInside, BodyPoints
from o2o_robot.safety.command_check import CommandRules
from o2o_robot.safety.force import HardForce, SoftForce
from o2o_robot.safety.force_spike import ForceSpike
from o2o_robot.safety.guard import Guard, PhaseRules
from o2o_robot.safety.guard_state import GuardTimes
from o2o_robot.safety.half_spaces import HalfSpaces, planes
from o2o_robot.safety.joint_motion import JointMotion
from o2o_robot.safety.joint_position import JointBox
from o2o_robot.safety.joint_prediction import JointPrediction
from o2o_robot.safety.kinematics_agree import KinematicsAgree
from o2o_robot.safety.limit import Limit, StateCheck, require_positive
from o2o_robot.safety.limits_table import FACTS, ArmFacts
from o2o_robot.safety.motion_shaper import JointRates, MotionShaper, ShaperConfig, ToolRates
from o2o_robot.safety.permits import PermitTimes
from o2o_robot.safety.seen_arm import seen
from o2o_robot.safety.singularity import Condition, Singularity
from o2o_robot.safety.state_watch import StateTimes
from o2o_robot.safety.step_size import StepSize, tool_speed
from o2o_robot.safety.takeover import TakeoverRules
from o2o_robot.safety.tracking import TrackingRules
from o2o_robot.safety.workspace import WorkspaceBox

Vec3 = tuple[float, float, float]


@dataclass(frozen=True)
class GuardConfig:
    """Chosen facts of one cell; the defaults are a real FR3 with its hand, slow and near.

    tool_*: from the flange. checkpoints_tool_m: x, y, z, x, y, z, ... of points that stay in the box with the tool.
    max_step_m and max_rotation_rad are per command, of which one comes each policy_period_s.
    half_spaces, body_half_spaces: nx, ny, nz, offset_m, ... that the tool with its checkpoints, and the arm's body,
    stay inside of. slow_condition, stop_condition: see Singularity; 0: off. state_*: see StateTimes.
    max_tracking_*: see TrackingRules; max_force_rise_n, force_window_s: see ForceSpike; 0: off.
    shaped: ticks tell the arm where to be, within max_acceleration_*, max_jerk_* and the shares of the joints' own;
    shaping_s and smoothing_s: see MotionShaper. deadman_s to learner_s: see PermitTimes; 0: not asked for.
    max_recoveries: soft stops left by a new episode in ten minutes, before it latches; 0: any number.
    resume_after_teleop: see TakeoverRules.
    lockstep: physics waits for commands; only where nothing but a simulator can move. There motion is not shaped.
    """

    robot: str = "fr3"
    joint_box: str = "conservative"
    tool_offset_m: Vec3 = FR3_HAND_TCP_OFFSET_M
    tool_quat_xyzw: tuple[float, float, float, float] = FR3_HAND_TCP_QUAT_XYZW
    workspace_min_m: Vec3 = (0.30, -0.25, 0.02)
    workspace_max_m: Vec3 = (0.65, 0.25, 0.45)
    checkpoints_tool_m: tuple[float, ...] = ()
    half_spaces: tuple[float, ...] = ()
    body_half_spaces: tuple[float, ...] = (0.0, 0.0, -1.0, -0.02)
    max_step_m: float = 0.008
    max_rotation_rad: float = 0.05
    max_speed_m_s: float = 0.25
    max_speed_rad_s: float = 0.5
    joint_margin_rad: float = 0.02
    joint_speed_scale: float = 0.5
    slow_condition: float = 17.0
    stop_condition: float = 30.0
    soft_force_n: float = 20.0
    hard_force_n: float = 45.0
    max_force_rise_n: float = 30.0
    force_window_s: float = 0.02
    max_tracking_m: float = 0.03
    max_tracking_rad: float = 0.15
    tracking_s: float = 0.1
    shaped: bool = True
    max_acceleration_m_s2: float = 2.5
    max_acceleration_rad_s2: float = 5.0
    max_jerk_m_s3: float = 500.0
    max_jerk_rad_s3: float = 1000.0
    joint_acceleration_scale: float = 0.3
    joint_jerk_scale: float = 0.3
    shaping_s: float = 0.12
    smoothing_s: float = 0.02
    policy_period_s: float = 0.1
    tick_period_s: float = 0.01
    state_stop_s: float = 0.03
    state_latch_s: float = 0.2
    frozen_state_s: float = 0.05
    max_observation_age_s: float = 0.25
    max_future_s: float = 0.02
    resume_after_s: float = 0.5
    max_recoveries: int = 5
    deadman_s: float = 0.0
    robot_mode_s: float = 0.0
    actor_s: float = 0.0
    recorder_s: float = 0.0
    learner_s: float = 0.0
    resume_after_teleop: str = "release"
    max_kinematic_error_m: float = 0.01
    n_values: int = 3
    lockstep: bool = False


def fr3() -> GuardConfig:
    """A real FR3 with Franka's hand."""
    return GuardConfig()


def ur5e() -> GuardConfig:
    """A real UR5e, poses in the controller's `base`, whose x axis points the other way round from base_link's.

    Its table's acceleration and jerk are no maker's bounds but slow ones of our own: the whole of them may be used.
    """
    return replace(
        fr3(),
        robot="ur5e",
        tool_offset_m=(0.0, 0.0, 0.0),
        tool_quat_xyzw=(0.0, 0.0, 0.0, 1.0),
        workspace_min_m=(-0.70, -0.30, 0.02),
        workspace_max_m=(-0.30, 0.30, 0.45),
        joint_acceleration_scale=1.0,
        joint_jerk_scale=1.0,
        shaping_s=0.2,
        smoothing_s=0.1,
    )


def twin() -> GuardConfig:
    """The simulated FR3: faster, since nothing breaks; clocks that other load on the machine may delay.

    A policy asks for at most 25 mm per axis, so up to 43 mm along a diagonal: max_step_m really acts. The peg's end
    is a checkpoint 60 mm below the hand's TCP; the table's top is at z = 0. The published joint box, since at the
    table's edges the conservative one shortens 6 % of random steps. Rigid simulated contact peaks at 160 N, for which a
    real arm's hard limit would latch. Targets go to the simulated controller as they are, and what a policy trained
    with stays what it meets: nothing is shaped, and the checks that came with shaping are off.
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
        body_half_spaces=(),
        slow_condition=0.0,
        max_force_rise_n=0.0,
        max_tracking_m=0.0,
        shaped=False,
        max_recoveries=0,
    )


PRESETS = {"twin": twin, "fr3": fr3, "ur5e": ur5e}


def build_guard(config: GuardConfig) -> Guard:
    """The guard of these settings. Raises ConfigError or LimitError, naming the setting, where they are impossible."""
    rules, shaped = phase_rules(config), _is_shaped(config)
    return Guard(
        rules.limits,
        times=_times(config, shaped),
        state_times=StateTimes(config.state_stop_s, config.state_latch_s, config.frozen_state_s, config.max_future_s),
        command_rules=CommandRules(config.n_values, config.max_observation_age_s, config.max_future_s),
        state_checks=rules.state_checks,
        engage_checks=(KinematicsAgree(_with_tool(config), config.max_kinematic_error_m),),
        tick_limits=rules.tick_limits,
        shaper=MotionShaper(rules.shaping, JointPrediction(_with_tool(config))) if rules.shaping else None,
        tracking=_tracking(config) if shaped and config.max_tracking_m else None,
        permit_times=rules.permit_times,
        max_recoveries=rules.max_recoveries,
        takeover=TakeoverRules(config.resume_after_teleop),
    )


def phase_rules(config: GuardConfig) -> PhaseRules:
    """What `Guard.adopt` takes of these settings. Raises as build_guard does."""
    shaped = _is_shaped(config)
    return PhaseRules(
        limits=limits(config),
        tick_limits=_places(config) if shaped else (),
        state_checks=_state_checks(config),
        shaping=shaper_config(config) if shaped else None,
        permit_times=_permit_times(config),
        max_recoveries=config.max_recoveries,
    )


def limits(config: GuardConfig) -> tuple[Limit, ...]:
    """In order: those that turn a step come first, those that only shorten it after, so these keep what those gave."""
    facts, arm = _facts(config), seen(_with_tool(config))
    predict = JointPrediction(arm)
    chosen: list[Limit] = [
        *_places(config),
        StepSize(config.max_step_m, config.max_rotation_rad),
        tool_speed(config.max_speed_m_s, config.max_speed_rad_s, period_s=config.policy_period_s),
    ]
    if config.body_half_spaces:
        chosen.append(BodyInside(predict, BodyPoints(arm, facts.body), planes(config.body_half_spaces)))
    chosen += [
        JointBox(predict, facts.min_rad, facts.max_rad, config.joint_margin_rad),
        JointMotion(predict, facts.envelope, config.joint_speed_scale, config.policy_period_s),
    ]
    if config.slow_condition:
        thresholds = (config.slow_condition, config.stop_condition)
        chosen.append(Singularity(predict, Condition(arm), *thresholds, config.max_step_m, config.max_rotation_rad))
    return tuple(chosen)


def _places(config: GuardConfig) -> tuple[Limit, ...]:
    """Where the tool may be: also asked at every tick, since contact and the arm change between commands."""
    points_m = _checkpoints_m(config)
    box = WorkspaceBox(np.array(config.workspace_min_m), np.array(config.workspace_max_m), checkpoints_m=points_m)
    walls = (HalfSpaces(planes(config.half_spaces), points_m),) if config.half_spaces else ()
    return (SoftForce(config.soft_force_n), *walls, box)


def shaper_config(config: GuardConfig) -> ShaperConfig:
    """The bounds of the reference's motion. Raises LimitError where its jerk could not be kept."""
    facts = _facts(config)
    require_positive("joint_acceleration_scale", config.joint_acceleration_scale, "0.3")
    require_positive("joint_jerk_scale", config.joint_jerk_scale, "0.3")
    if max(config.joint_acceleration_scale, config.joint_jerk_scale) > 1.0:
        raise LimitError("joint_acceleration_scale and joint_jerk_scale must be at most 1, the maker's own; try 0.3")
    return ShaperConfig(
        dt_s=config.tick_period_s,
        window_s=config.shaping_s,
        smooth_s=config.smoothing_s,
        translation=ToolRates(config.max_speed_m_s, config.max_acceleration_m_s2, config.max_jerk_m_s3),
        rotation=ToolRates(config.max_speed_rad_s, config.max_acceleration_rad_s2, config.max_jerk_rad_s3),
        joints=JointRates(
            facts.envelope,
            config.joint_speed_scale,
            config.joint_acceleration_scale * facts.max_rad_s2,
            config.joint_jerk_scale * facts.max_rad_s3,
        ),
    )


def _is_shaped(config: GuardConfig) -> bool:
    return config.shaped and not config.lockstep


def _times(config: GuardConfig, shaped: bool) -> GuardTimes:
    return GuardTimes(
        hold_s=1.5 * config.policy_period_s,
        stop_s=3.0 * config.policy_period_s,
        tick_gap_s=5.0 * config.tick_period_s,
        resume_s=config.resume_after_s,
        lockstep=config.lockstep,
        late_s=2.0 * config.tick_period_s if shaped else math.inf,
    )


def _state_checks(config: GuardConfig) -> tuple[StateCheck, ...]:
    hard = HardForce(config.hard_force_n)
    if not config.max_force_rise_n:
        return (hard,)
    return (hard, ForceSpike(config.max_force_rise_n, config.force_window_s))


def _tracking(config: GuardConfig) -> TrackingRules:
    return TrackingRules(config.max_tracking_m, config.max_tracking_rad, config.tracking_s)


def _permit_times(config: GuardConfig) -> PermitTimes:
    return PermitTimes(config.deadman_s, config.robot_mode_s, config.actor_s, config.recorder_s, config.learner_s)


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
