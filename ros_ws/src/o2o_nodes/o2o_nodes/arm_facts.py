"""What a running arm_node was told: its topics by their part in the arm contract, its limits, its joints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from geometry_msgs.msg import PoseStamped, TwistStamped, WrenchStamped
from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.parameter import parameter_value_to_python
from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from o2o_nodes.node import STEADY, HouseNode
from o2o_robot.safety.guard_config import GuardConfig

SENSORS = {"joint_states": JointState, "current_pose": PoseStamped, "external_wrench": WrenchStamped}
TARGETS = {
    "cartesian_pose": ("target_pose", PoseStamped),
    "joint_impedance": ("target_joint", JointState),
    "forward_position": ("forward_position", Float64MultiArray),
    "joint_trajectory": ("joint_trajectory", JointTrajectory),
    "servo_twist": ("servo_twist", TwistStamped),
}
_PREFIXES = ("guard.", "arm.")
_SETTINGS = ("limits", "profile", "joints", "action_scale_m", "lockstep")


@dataclass(frozen=True)
class ArmFacts:
    """roles: part in the arm contract -> topic; `target` is what moves the arm. streams: topic -> message class.

    settings: guard, limits, profile, joints, action_scale_m, lockstep, as JSON.
    """

    roles: dict[str, str] = field(default_factory=dict)
    streams: dict[str, type] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


def ask_arm_node(node: HouseNode, *, every_s: float, told: Callable[[ArmFacts], None]) -> None:
    """Ask for its parameters until it has answered once; then `told` is called, with what it said."""
    lister = node.create_client(ListParameters, "arm_node/list_parameters")
    getter = node.create_client(GetParameters, "arm_node/get_parameters")
    asked: list[Future] = []

    def listed(future: Future) -> None:
        # by the names it has: one that it has not would cost the answer
        names = [name for name in future.result().result.names if name in _SETTINGS or name.startswith(_PREFIXES)]
        answer = getter.call_async(GetParameters.Request(names=names))
        answer.add_done_callback(lambda done: got(names, done))

    def got(names: list[str], future: Future) -> None:
        found = arm_facts(dict(zip(names, map(_plain, future.result().values), strict=False)))
        if found is not None:
            told(found)

    def ask() -> None:
        if asked and asked[0].done():
            node.destroy_timer(timer)
        elif not asked and lister.service_is_ready() and getter.service_is_ready():
            asked.append(lister.call_async(ListParameters.Request()))
            asked[0].add_done_callback(listed)

    timer = node.create_timer(every_s, ask, clock=STEADY)


def arm_facts(parameters: dict[str, Any]) -> ArmFacts | None:
    """From arm_node's parameters by name; None where they do not say by which controller it moves the arm."""
    role, kind = TARGETS.get(str(parameters.get("arm.controller")), ("", None))
    target = parameters.get(f"arm.{role}")
    if kind is None or not target:
        return None
    roles = {name: parameters[f"arm.{name}"] for name in SENSORS if parameters.get(f"arm.{name}")}
    streams = {topic: SENSORS[name] for name, topic in roles.items()}
    settings = {name: parameters[name] for name in _SETTINGS if name in parameters}
    known = {f.name for f in fields(GuardConfig)}
    asked = {name.removeprefix("guard."): value for name, value in parameters.items() if name.startswith("guard.")}
    guard = {name: value for name, value in asked.items() if name in known}
    return ArmFacts({**roles, "target": target}, {**streams, target: kind}, {**settings, "guard": guard})


def _plain(value: Any) -> Any:
    found = parameter_value_to_python(value)
    return list(found) if hasattr(found, "typecode") else found
