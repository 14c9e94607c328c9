"""The guard's settings for each phase of a run, as deltas from the robot's preset: warm-up the tightest.

warmup inside online inside the preset, in every limit; so are eval and teleop. A test walks every setting.
A profile's step limits change what actions come to: the executed action is what is stored, so data stay true, but a
policy meets in warm-up a slower arm than online.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from o2o_robot.errors import ConfigError
from o2o_robot.safety.guard_config import GuardConfig
from o2o_robot.types import Mode

UPPER = (
    "max_step_m",
    "max_rotation_rad",
    "max_speed_m_s",
    "max_speed_rad_s",
    "joint_speed_scale",
    "soft_force_n",
    "hard_force_n",
    "max_force_rise_n",
    "max_tracking_m",
    "max_tracking_rad",
    "max_acceleration_m_s2",
    "max_acceleration_rad_s2",
    "joint_acceleration_scale",
    "slow_condition",
    "stop_condition",
    "max_observation_age_s",
    "max_recoveries",
    "deadman_s",
)
"""Settings that are tighter when smaller; 0 where that switches a check off is the loosest of all."""

LOWER = ("joint_margin_rad", "resume_after_s")
"""Settings that are tighter when larger."""


def online(preset: GuardConfig) -> GuardConfig:
    """A learning policy explores: a little slower and softer than the preset, and a hand on the deadman's switch."""
    calmer = _scaled(preset, motion=0.8, force=0.9)
    return replace(calmer, deadman_s=_tighter(preset.deadman_s, 0.5))


def warmup(preset: GuardConfig) -> GuardConfig:
    """The pretrained policy, frozen, for the first time on this arm: half of online's steps, and it gives up early."""
    calmer = _scaled(online(preset), motion=0.5, force=0.8)
    return replace(calmer, max_recoveries=int(_tighter(calmer.max_recoveries, 2)))


def evaluation(preset: GuardConfig) -> GuardConfig:
    """The policy as it is, at the preset's speed: what is measured is what will run."""
    return preset


def teleop(preset: GuardConfig) -> GuardConfig:
    """A person moves it: at the preset's speed, with softer contact, since a hand does not feel it."""
    return _scaled(preset, motion=1.0, force=0.8)


PROFILES: dict[str, Callable[[GuardConfig], GuardConfig]] = {
    "warmup": warmup,
    "online": online,
    "eval": evaluation,
    "teleop": teleop,
}


def profiled(preset: GuardConfig, profile: str) -> GuardConfig:
    """The preset in this profile; an empty name is the preset itself. Raises ConfigError for an unknown one."""
    if not profile:
        return preset
    if profile not in PROFILES:
        raise ConfigError(f"no safety profile '{profile}' (there are {', '.join(PROFILES)}, or '' for the preset)")
    return PROFILES[profile](preset)


OF_MODE = {Mode.WARMUP: "warmup", Mode.ONLINE: "online", Mode.EVAL: "eval", Mode.DEMO: "teleop"}
"""The profile of each mode of episodes. Who demonstrates, by whatever device, is treated as a person."""


def profile_of(mode: str) -> str:
    """The profile of an episode's mode; the tightest for a mode that nobody knows."""
    return next((profile for known, profile in OF_MODE.items() if known.value == mode), "warmup")


def phase_configs(preset: GuardConfig, changes: Mapping[str, Mapping[str, Any]]) -> dict[str, GuardConfig]:
    """The settings of every profile, each with a cell's own changes (profile -> setting -> value).

    Raises ConfigError for a profile or a setting there is not, and where a profile would allow more than the preset.
    """
    if unknown := sorted(set(changes) - set(PROFILES)):
        raise ConfigError(f"no safety profile '{unknown[0]}' (there are {', '.join(PROFILES)})")
    return {name: _changed(preset, name, changes.get(name, {})) for name in PROFILES}


def _changed(preset: GuardConfig, name: str, changes: Mapping[str, Any]) -> GuardConfig:
    for setting in changes:
        if setting not in (*UPPER, *LOWER):
            near = difflib.get_close_matches(setting, (*UPPER, *LOWER), n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"a profile sets {', '.join((*UPPER, *LOWER))}"
            raise ConfigError(f"profile {name}: no setting '{setting}'; {hint}")
    config = replace(profiled(preset, name), **changes)
    if wider := looser(config, preset):
        told = f"{wider[0]} is {getattr(config, wider[0])}, the preset's {getattr(preset, wider[0])}"
        raise ConfigError(f"profile {name} allows more than the preset: {told}; change the preset, or this back")
    return config


def looser(inner: GuardConfig, outer: GuardConfig) -> tuple[str, ...]:
    """Names of the settings in which `inner` allows more than `outer`: none where it is nested in it."""
    upper = [name for name in UPPER if _ceiling(inner, name) > _ceiling(outer, name)]
    lower = [name for name in LOWER if getattr(inner, name) < getattr(outer, name)]
    return tuple(upper + lower)


def _scaled(config: GuardConfig, *, motion: float, force: float) -> GuardConfig:
    factors = {
        "max_step_m": motion,
        "max_rotation_rad": motion,
        "max_speed_m_s": motion,
        "max_speed_rad_s": motion,
        "joint_speed_scale": motion,
        "max_acceleration_m_s2": motion,
        "max_acceleration_rad_s2": motion,
        "joint_acceleration_scale": motion,
        "soft_force_n": force,
        "hard_force_n": force,
        "max_force_rise_n": force,
    }
    return replace(config, **{name: factor * getattr(config, name) for name, factor in factors.items()})


def _tighter(now: float, most: float) -> float:
    """The smaller of two ceilings, of which 0 is none."""
    return min(now, most) if now else most


def _ceiling(config: GuardConfig, name: str) -> float:
    return getattr(config, name) or float("inf")
