"""The action spaces by name: one word, the parameter `action_space`, tells both sides of an action how many values."""

from __future__ import annotations

from o2o_robot.errors import ConfigError
from o2o_robot.robot.action import DeltaPosition, DeltaPositionGripper

SPACES = {"delta_position": DeltaPosition, "delta_position_gripper": DeltaPositionGripper}


def space_named(name: str) -> type[DeltaPosition]:
    """One of SPACES. Raises ConfigError for a name that is none."""
    if name not in SPACES:
        raise ConfigError(f"no action_space '{name}' (there are {', '.join(SPACES)})")
    return SPACES[name]


def has_gripper(name: str) -> bool:
    """Whether actions of that space move a gripper. Raises ConfigError for a space that there is not."""
    return issubclass(space_named(name), DeltaPositionGripper)


def make_space(name: str, *, scale_m: float, open_m: float) -> DeltaPosition:
    """The space of that name. scale_m: motion for an action of 1; open_m: how far an action opens the gripper."""
    if has_gripper(name):
        return DeltaPositionGripper(scale_m=scale_m, open_m=open_m)
    return space_named(name)(scale_m=scale_m)


def require_values(n_action: int, space: str, *, who: str) -> None:
    """Raises ConfigError unless what `who` proposes has as many values as that space. To be asked at start."""
    wanted = space_named(space).n_action
    if n_action != wanted:
        fitting = [name for name, kind in SPACES.items() if kind.n_action == n_action]
        hint = f"set action_space to {fitting[0]} on both sides" if fitting else "no action_space has so many"
        raise ConfigError(f"{who} proposes {n_action} values, action_space '{space}' takes {wanted}; {hint}")
