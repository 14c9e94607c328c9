"""What arm_node is told by its parameters: the guard's limits, those of each phase, and what it may have to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from o2o_nodes.node import HouseNode
from o2o_robot.config import as_mapping, build
from o2o_robot.errors import ConfigError
from o2o_robot.safety.budget import ANY, BudgetRules
from o2o_robot.safety.guard_config import PRESETS, GuardConfig
from o2o_robot.safety.profiles import PROFILES, phase_configs, profiled

SIMULATED = ("twin",)
PREFIX = "limits_of"


def read_limits(node: HouseNode) -> tuple[GuardConfig, dict[str, GuardConfig]]:
    """The limits that hold from the start, and those of each profile where the phases of a run have their own.

    Raises ConfigError or LimitError, naming the parameter, for a wrong one.
    """
    preset = _preset(node)
    profile = node.setting("profile", "", f"the one phase: {', '.join(PROFILES)}, or ''", read_only=True)
    by_phase = node.setting("profiles", not (profile or _is_simulated(node)), "limits by an episode's mode")
    if profile and by_phase:
        raise ConfigError(f"arm_node: profile is '{profile}' and profiles is on; set one of them")
    changes = _changes(node)
    if changes and not by_phase:
        raise ConfigError(f"arm_node: {PREFIX}.{next(iter(changes))} is set and profiles is off; set profiles to true")
    return profiled(preset, profile), phase_configs(preset, changes) if by_phase else {}


def read_budget(node: HouseNode) -> BudgetRules:
    """The parameters `budget.*`; a simulated arm's are without number."""
    usual = as_mapping(ANY if _is_simulated(node) else BudgetRules())
    chosen = {name: node.setting(f"budget.{name}", value, "see BudgetRules; 0: any") for name, value in usual.items()}
    return build(BudgetRules, chosen, where="arm_node's parameters budget.*")


def _is_simulated(node: HouseNode) -> bool:
    return node.get_parameter("limits").value in SIMULATED


def _preset(node: HouseNode) -> GuardConfig:
    """The preset of the parameter `limits`, with every field that launch/params/<robot>.yaml sets."""
    name = node.setting("limits", "fr3", f"preset of the guard's limits: {', '.join(PRESETS)}", read_only=True)
    if name not in PRESETS:
        raise ConfigError(f"arm_node: no limits '{name}' (there are {', '.join(PRESETS)})")
    chosen = {"lockstep": node.lockstep}
    for field, value in as_mapping(PRESETS[name]()).items():
        if field not in chosen:
            chosen[field] = node.setting(f"guard.{field}", value, "see GuardConfig", read_only=True)
    return build(GuardConfig, chosen, where="arm_node's parameters")


def _changes(node: HouseNode) -> Mapping[str, Mapping[str, Any]]:
    """The parameters `limits_of.<profile>.<setting>` that were given: nobody declares those that were not."""
    found: dict[str, dict[str, Any]] = {}
    for given in getattr(node, "_parameter_overrides", {}):
        prefix, _, rest = given.partition(".")
        if prefix == PREFIX:
            profile, _, setting = rest.partition(".")
            value = node._parameter_overrides[given].value
            found.setdefault(profile, {})[setting] = node.setting(given, value, "see profiles.py", read_only=True)
    return found
