"""How an arm is spoken to: its names on the graph, and which controller of its takes the commands. One for both sides.

The controllers are CRISP's (`target_pose`, `target_joint`), ros2_control's forward position and joint trajectory
controllers, and MoveIt Servo (`delta_twist_cmds`).
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, fields

from rclpy.exceptions import InvalidTopicNameException
from rclpy.validate_topic_name import validate_topic_name

from o2o_nodes.node import HouseNode
from o2o_robot.config import as_mapping, build
from o2o_robot.errors import ConfigError
from o2o_robot.robot.action import DeltaPosition, DeltaPositionGripper
from o2o_robot.robot.twist import TwistToward

CONTROLLERS = ("cartesian_pose", "joint_impedance", "forward_position", "joint_trajectory", "servo_twist")
PREFIX = "arm"
REQUIRED = ("joint_states", "target_pose", "target_joint", "forward_position", "joint_trajectory", "servo_twist")
OPTIONAL = ("current_pose", "external_wrench", "current_twist", "gripper_states", "gripper_command")


@dataclass(frozen=True)
class ArmTopics:
    """Names relative to the node's namespace unless they begin with a slash; an empty optional one is not used.

    controller: which takes the commands, of CONTROLLERS. frame_id: the arm's base on every pose and twist.
    current_pose empty: the pose is computed from the joints.
    external_wrench: where it is named it is part of every state, so an arm whose force sensor falls silent has no new
    state. wrench_frame: `base`, or `tool` for a sensor that turns with the tool (UR's).
    time_from_start_s: of a trajectory's one point.
    twist_*: see TwistToward; twist_units: `speed` (m/s, rad/s) or `unitless`, divided by Servo's scales.
    pose_age_s: a twist is zero where the pose it answers is older.
    """

    controller: str = "cartesian_pose"
    frame_id: str = "base"
    joint_states: str = "joint_states"
    current_pose: str = "current_pose"
    external_wrench: str = ""
    wrench_frame: str = "base"
    current_twist: str = "current_twist"
    gripper_states: str = ""
    gripper_joint: str = "fr3_finger_joint1"
    gripper_command: str = "gripper_position_controller/commands"
    target_pose: str = "target_pose"
    target_joint: str = "target_joint"
    forward_position: str = "forward_position_controller/commands"
    joint_trajectory: str = "joint_trajectory_controller/joint_trajectory"
    servo_twist: str = "servo_node/delta_twist_cmds"
    time_from_start_s: float = 0.1
    twist_reach_s: float = 0.1
    twist_max_m_s: float = 0.25
    twist_max_rad_s: float = 0.5
    twist_units: str = "speed"
    twist_scale_m_s: float = 0.4
    twist_scale_rad_s: float = 0.8
    pose_age_s: float = 0.1

    def __post_init__(self) -> None:
        _one_of("controller", self.controller, CONTROLLERS)
        _one_of("wrench_frame", self.wrench_frame, ("base", "tool"))
        _one_of("twist_units", self.twist_units, ("speed", "unitless"))
        if not self.frame_id:
            raise ConfigError(f"{PREFIX}.frame_id is empty; name the frame of the arm's base, such as base")
        for name in (*REQUIRED, *OPTIONAL):
            _check_topic(name, getattr(self, name), may_be_empty=name in OPTIONAL)
        for name in ("time_from_start_s", "twist_scale_m_s", "twist_scale_rad_s", "pose_age_s"):
            if not 0 < (value := getattr(self, name)) < float("inf"):
                raise ConfigError(f"{PREFIX}.{name} must be > 0, got {value}; {getattr(ArmTopics, name)} is usual")
        self.twist()  # checks the other three

    def twist(self) -> TwistToward:
        """The law of twists. Raises LimitError where its numbers are impossible."""
        return TwistToward(self.twist_reach_s, self.twist_max_m_s, self.twist_max_rad_s)


def read_topics(node: HouseNode, *, read_only: bool = True) -> ArmTopics:
    """The node's parameters `arm.*`. Raises ConfigError, naming the parameter, for a wrong or misspelt one."""
    known = [field.name for field in fields(ArmTopics)]
    for given in getattr(node, "_parameter_overrides", {}):  # ROS itself says nothing of a parameter nobody declares
        prefix, _, name = given.partition(".")
        if prefix == PREFIX and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean '{PREFIX}.{near[0]}'?" if near else ""
            raise ConfigError(f"{node.get_name()}: unknown parameter '{given}'{hint} ({', '.join(known)})")
    chosen = {
        name: node.setting(f"{PREFIX}.{name}", value, "see ArmTopics", read_only=read_only or name != "controller")
        for name, value in as_mapping(ArmTopics()).items()
    }
    return build(ArmTopics, chosen, where=f"{node.get_name()}'s parameters {PREFIX}.*")


def require_gripper_topic(topics: ArmTopics, space: DeltaPosition) -> None:
    """Raises ConfigError where actions move a gripper that nobody can be told of."""
    if isinstance(space, DeltaPositionGripper) and not topics.gripper_command:
        raise ConfigError(f"{PREFIX}.gripper_command is empty, but actions move a gripper; name its command topic")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        near = difflib.get_close_matches(value, allowed, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ConfigError(f"{PREFIX}.{name} is '{value}'{hint} (allowed: {', '.join(allowed)})")


def _check_topic(name: str, topic: str, *, may_be_empty: bool) -> None:
    if not topic and may_be_empty:
        return
    try:
        validate_topic_name(topic)
    except (InvalidTopicNameException, ValueError) as problem:
        why = " ".join(str(problem).split())
        raise ConfigError(f"{PREFIX}.{name} is '{topic}', which is no topic name ({why})") from None
