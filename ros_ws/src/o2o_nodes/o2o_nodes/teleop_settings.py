"""What teleop_node is told: which device, its own settings, and how its axes and buttons become an action."""

from __future__ import annotations

import dataclasses
import time
from typing import Any, NamedTuple

from o2o_nodes.node import HouseNode
from o2o_robot.config import build
from o2o_robot.errors import ConfigError
from o2o_robot.graph_arm import action_space
from o2o_robot.robot.action_space import require_values, space_named
from o2o_robot.teleop.axes import IDENTITY, AxisRules
from o2o_robot.teleop.device import Device
from o2o_robot.teleop.hand import Buttons, HandRules, Operator
from o2o_robot.teleop.open_device import DEVICES, NEEDS_TASK, device_class, open_device, settings_of

UNPREFIXED = ("scripted",)  # the graph has always told it `noise`, and not `scripted.noise`
SPACE = ("delta_position", "as arm_node's: see robot/action_space.py")
OF_AXES = "a device's axes: see o2o_robot/teleop/axes.py"
OF_BUTTONS = "name of the button that does this, empty: none; see o2o_robot/teleop/hand.py"
OF_HAND = "seconds; see o2o_robot/teleop/hand.py"


class Told(NamedTuple):
    """The device, not taken hold of yet, its name, and who follows it."""

    name: str
    device: Device
    operator: Operator


def read_device(node: HouseNode) -> Told:
    """Raises ConfigError for a device that there is not, or settings that it cannot have."""
    names = ", ".join(DEVICES)
    name = node.setting("device", "scripted", f"what commands the arm: {names}")
    task = node.setting("task", "peg", "name of the task, written into every episode")
    if name in NEEDS_TASK:  # its expert proposes what the task needs, whatever the space
        values, space = space_named(action_space(task, "")).n_action, node.setting("action_space", *SPACE)
        require_values(values, space, who=node.get_name())
    own = {key: _own(node, name, key, default, told) for key, (default, told) in settings_of(name).items()}
    device = open_device(name, {**own, **({"task": task} if "task" in own else {})}, clock=time.monotonic)
    kind = device_class(name)
    operator = Operator(
        _axes(node, kind.rules),
        build(Buttons, _group(node, "buttons", kind.buttons, OF_BUTTONS), where="buttons"),
        build(HandRules, _group(node, "hand", HandRules(), OF_HAND), where="hand"),
        n_action=n_action(node),
        open_m=node.setting("gripper_open_m", 0.08, "how far an action opens the gripper"),
    )
    return Told(name, device, operator)


def n_action(node: HouseNode) -> int:
    return space_named(node.setting("action_space", *SPACE)).n_action


def _axes(node: HouseNode, default: AxisRules) -> AxisRules:
    rules = build(AxisRules, _group(node, "axes", default, OF_AXES), where="axes")
    if default == IDENTITY and rules != IDENTITY:
        raise ConfigError("axes: this device gives an action's own values; leave axes out")
    return rules


def _own(node: HouseNode, device: str, key: str, default: Any, told: str) -> Any:
    return node.setting(key if device in UNPREFIXED or key == "task" else f"{device}.{key}", default, told)


def _group(node: HouseNode, group: str, defaults: Any, told: str) -> dict[str, Any]:
    return {
        f.name: node.setting(f"{group}.{f.name}", getattr(defaults, f.name), told) for f in dataclasses.fields(defaults)
    }
