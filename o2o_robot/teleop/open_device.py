"""The devices by name. A device's library is loaded when that device is asked for, and not before."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

from o2o_robot.config import build
from o2o_robot.errors import ConfigError
from o2o_robot.teleop.device import Clock, Device

DEVICES = {
    "spacemouse": "o2o_robot.teleop.spacemouse:SpaceMouse",
    "gamepad": "o2o_robot.teleop.gamepad:Gamepad",
    "keyboard": "o2o_robot.teleop.keyboard:Keyboard",
    "joy": "o2o_robot.teleop.joy:Joy",
    "browser": "o2o_robot.teleop.joy:Browser",
    "twist": "o2o_robot.teleop.twist:Twist",
    "leader": "o2o_robot.teleop.leader:Leader",
    "scripted": "o2o_sim.teleop.scripted:Scripted",
    "simulated": "o2o_sim.teleop.simulated:Simulated",
}
"""Name -> module:class. The class has `rules`, and `Config`, a frozen dataclass of its settings, its only argument
but the clock."""

NEEDS_TASK = ("scripted", "simulated")
"""Devices that look at the twin's own state (Moment.task)."""


def device_class(name: str) -> Any:
    """The class of that name. Raises ConfigError for a name that is none."""
    if name not in DEVICES:
        raise ConfigError(f"no device '{name}' (there are {', '.join(DEVICES)})")
    module, _, kind = DEVICES[name].partition(":")
    return getattr(importlib.import_module(module), kind)


def settings_of(name: str) -> dict[str, tuple[Any, str]]:
    """The device's own settings: name -> (default, what it is)."""
    fields = dataclasses.fields(device_class(name).Config)
    return {f.name: (f.default, f.metadata.get("help", "")) for f in fields}


def open_device(name: str, settings: Mapping[str, Any], *, clock: Clock) -> Device:
    """A device, not held yet: `with` does that. clock: steady seconds. Raises ConfigError for wrong settings."""
    kind = device_class(name)
    device: Device = kind(build(kind.Config, settings, where=f"device {name}"), clock)
    return device
