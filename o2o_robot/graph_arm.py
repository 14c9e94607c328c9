"""Which arm a graph is for: its joints, what its action's numbers mean, and the files that hold its chosen facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from o2o_robot.errors import ConfigError
from o2o_robot.robot.action_space import has_gripper
from o2o_robot.yamlfile import read_map

_UR5E = [f"{name}_joint" for name in ("shoulder_pan", "shoulder_lift", "elbow", "wrist_1", "wrist_2", "wrist_3")]
_FR3 = [f"fr3_joint{i}" for i in range(1, 8)]
JOINTS = {"twin": _FR3, "fr3": _FR3, "ur5e": _UR5E}
"""Robot -> joint names from base to tool; the twin's are those of its arm unless told."""

TWIN_ARMS = ("fr3", "ur5e")
TASK_SPACES = {"lift": "delta_position_gripper"}
"""Task of the twin -> action space; without a gripper for those that are not here."""

MAPS = (".yaml", ".yml")


def action_space(task: str, chosen: str) -> str:
    """The name of the action space (o2o_robot.robot.action_space.SPACES): as chosen, else the task's."""
    return chosen or TASK_SPACES.get(task, "delta_position")


def is_map(arm: str) -> bool:
    """Whether the twin's arm is the user's own, by the path of a name map."""
    return Path(arm).suffix in MAPS


def twin_joints(arm: str) -> list[str]:
    """Joint names of the twin's arm. Raises ConfigError for one that there is not, or a name map without them."""
    if arm in TWIN_ARMS:
        return JOINTS[arm]
    if not is_map(arm):
        raise ConfigError(f"no arm '{arm}' (there are {', '.join(TWIN_ARMS)}, or the path of a name map, .yaml)")
    named = read_map(Path(arm), what="name map", example="mjcf: my_arm.xml").get("joints")
    if not (isinstance(named, list) and named and all(isinstance(name, str) for name in named)):
        raise ConfigError(f"{arm}: no list `joints`; name them from base to tool, as o2o_sim/user_model.py shows")
    return list(named)


def params_files(robot: str, arm: str, space: str, share: Path, own: str) -> tuple[str, ...]:
    """Files of chosen facts, each laid over those before it: the robot's, another arm, its gripper, own."""
    names = [robot]
    if robot == "twin":
        names += [f"twin_{arm}"] * (arm != "fr3" and not is_map(arm)) + ["twin_gripper"] * has_gripper(space)
    return (*(str(share / "params" / f"{name}.yaml") for name in names), *([own] if own else []))


def laid_over(files: Sequence[str], node: str) -> dict[str, Any]:
    """A node's parameters of several files, the later ones over the earlier: one list a name, whatever their order.

    Raises ConfigError where a file is not there, is no parameter file, or names its nodes in a way not read here.
    """
    facts: dict[str, Any] = {}
    for file in files:
        for name, section in _sections(Path(file)).items():
            if name in ("/**", f"/**/{node}"):
                facts = _over(facts, section)
    return facts


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = {name: _over(below[name], above[name]) for name in above if _are_groups(below.get(name), above[name])}
    return {**below, **above, **both}


def _are_groups(one: Any, other: Any) -> bool:
    return isinstance(one, Mapping) and isinstance(other, Mapping)


def _sections(path: Path) -> dict[str, dict[str, Any]]:
    sections = read_map(path, what="parameters", example="/**/arm_node:")
    for name, section in sections.items():
        held = section.get("ros__parameters") if isinstance(section, dict) else None
        if not isinstance(held, dict) or not (name == "/**" or name.startswith("/**/")):
            raise ConfigError(
                f"{path}: '{name}' is no node's section; it starts like '/**/arm_node:', then `ros__parameters:`"
            )
    return {name: section["ros__parameters"] for name, section in sections.items()}
