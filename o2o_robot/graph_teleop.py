"""Who moves the arm in a person's stead, or with a person's hand: teleop_node's place in a graph."""

from __future__ import annotations

from typing import Any

from o2o_robot.errors import ConfigError

PEOPLE = ("spacemouse", "gamepad", "keyboard", "joy", "browser", "twist", "leader")
"""Devices that a person holds. One is asked how an episode ended, and needs time to pass as it does."""

PLAYED = ("scripted", "simulated")
"""Devices that stand in for a person, and need the twin's own state."""


def require_device(teleop: str, robot: str) -> None:
    """Raises ConfigError for a device that there is not, or that needs what a real robot has not."""
    if teleop and teleop not in (*PEOPLE, *PLAYED):
        raise ConfigError(f"no device '{teleop}' (there are {', '.join((*PEOPLE, *PLAYED))}); leave it out for nobody")
    if teleop in PLAYED and robot != "twin":
        raise ConfigError(f"device '{teleop}' looks into the twin, and the robot is '{robot}'; take one a person holds")


def beside_parameters(teleop: str, *, task: str, space: str, joints: list[str]) -> dict[str, Any]:
    """What teleop_node is told beside a policy."""
    return {"beside_policy": True, "device": teleop, "task": task, "action_space": space, "joints": joints}


def demonstrating(teleop: str, countdown_s: float) -> dict[str, Any]:
    """What it is told beyond the scripted expert's settings, where it runs the session with another device."""
    if not teleop:
        return {}
    if teleop in PEOPLE:
        return {"device": teleop, "countdown_s": countdown_s, "ask_outcome": "always"}
    return {"device": teleop, **({"simulated.leads": True} if teleop == "simulated" else {})}
