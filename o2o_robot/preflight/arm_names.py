"""By which topics a robot's arm is spoken to, as launch/params/<robot>.yaml, or a running arm_node, has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from o2o_robot.errors import ConfigError
from o2o_robot.yamlfile import read_yaml

PREFIX = "arm."
_TARGETS = {
    "cartesian_pose": "target_pose",
    "joint_impedance": "target_joint",
    "forward_position": "forward_position",
    "joint_trajectory": "joint_trajectory",
    "servo_twist": "servo_twist",
}


@dataclass(frozen=True)
class ArmNames:
    """arm_node's parameters `arm.*` that name topics; the defaults are its own (a test holds them together)."""

    controller: str = "cartesian_pose"
    joint_states: str = "joint_states"
    current_pose: str = "current_pose"
    external_wrench: str = ""
    target_pose: str = "target_pose"
    target_joint: str = "target_joint"
    forward_position: str = "forward_position_controller/commands"
    joint_trajectory: str = "joint_trajectory_controller/joint_trajectory"
    servo_twist: str = "servo_node/delta_twist_cmds"

    @property
    def command(self) -> str:
        """The topic by which arm_node moves the arm."""
        return str(getattr(self, _TARGETS[self.controller]))


def arm_names_from_file(path: Path) -> ArmNames:
    """The names in a robot's parameter file. Raises ConfigError where its arm section is none."""
    try:
        chosen = read_yaml(path)["/**/arm_node"]["ros__parameters"].get("arm", {})
        return _names(dict(chosen), where=str(path))
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as problem:
        told = f"{path}: no arm_node settings in it ({type(problem).__name__}: {problem})"
        raise ConfigError(f"{told}; start from the file of that name in launch/params") from None


def arm_names_from_parameters(parameters: Mapping[str, Any]) -> ArmNames | None:
    """The names as a running arm_node was told; None where it told none."""
    chosen = {key.removeprefix(PREFIX): value for key, value in parameters.items() if key.startswith(PREFIX)}
    return _names(chosen, where="arm_node") if chosen else None


def _names(chosen: Mapping[str, Any], *, where: str) -> ArmNames:
    known = {field.name for field in fields(ArmNames)}
    names = ArmNames(**{key: str(value) for key, value in chosen.items() if key in known})
    if names.controller not in _TARGETS:
        raise ConfigError(f"{where}: arm.controller is '{names.controller}' (allowed: {', '.join(_TARGETS)})")
    return names
