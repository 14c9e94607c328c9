"""What a robot must offer: topics with rates, joints, cameras, and the settings of the guard that stands before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from o2o_robot.config import as_mapping, build
from o2o_robot.errors import ConfigError
from o2o_robot.graph import JOINTS, ROBOTS
from o2o_robot.preflight.arm_names import ArmNames
from o2o_robot.safety.guard_config import PRESETS, GuardConfig
from o2o_robot.yamlfile import read_yaml

COMMAND_OWNER = "arm_node"
_POSE, _WRENCH = "geometry_msgs/msg/PoseStamped", "geometry_msgs/msg/WrenchStamped"
STATE_HZ = {"twin": 100.0, "fr3": 100.0, "ur5e": 500.0}
CAMERA_HZ = {"twin": 10.0, "fr3": 30.0, "ur5e": 30.0}
"""Rates asked for unless told: three states within the guard's 30 ms, a UR's own 500 Hz, a RealSense's usual 30 Hz."""


@dataclass(frozen=True)
class WantedStream:
    """A topic that must be there. hz: its rate, 0 where any will do; required: without it nothing runs.

    name: its part in the arm contract; topic: by which name the robot has it, '' where that is the same.
    """

    name: str
    type: str
    hz: float = 0.0
    required: bool = True
    topic: str = ""

    @property
    def listened_to(self) -> str:
        """The topic by which this robot has it; its name where that is nobody's choice."""
        return self.topic or self.name


@dataclass(frozen=True)
class Wanted:
    """What the checks hold the facts against.

    references: camera -> thumbnail of a picture that was taken when it was right.
    """

    robot: str
    streams: tuple[WantedStream, ...]
    joints: tuple[str, ...]
    cameras: tuple[str, ...]
    guard: GuardConfig
    arm: ArmNames = field(default_factory=ArmNames)
    urdf: str = ""
    references: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def stream(self, name: str) -> WantedStream:
        return next(s for s in self.streams if s.name == name)


def wanted(
    robot: str,
    *,
    cameras: tuple[str, ...],
    guard: GuardConfig,
    state_hz: float,
    camera_hz: float,
    arm: ArmNames | None = None,
) -> Wanted:
    """The arm contract for `robot`, by the names of `arm`. Raises ConfigError for a robot that the house does not know.

    A force sensor that is named must be there: no state is whole without it.
    """
    arm = arm or ArmNames()
    if robot not in ROBOTS:
        raise ConfigError(f"no robot '{robot}' (there are {', '.join(ROBOTS)})")
    streams = [
        WantedStream("joint_states", "sensor_msgs/msg/JointState", state_hz, topic=arm.joint_states),
        WantedStream("current_pose", _POSE, state_hz, required=bool(arm.current_pose), topic=arm.current_pose),
        WantedStream("external_wrench", _WRENCH, state_hz, bool(arm.external_wrench), arm.external_wrench),
        WantedStream("task_state", "o2o_msgs/msg/TaskState", required=False),
    ]
    streams += [WantedStream(image_topic(c), "sensor_msgs/msg/Image", camera_hz) for c in cameras]
    streams += [WantedStream(info_topic(c), "sensor_msgs/msg/CameraInfo", required=False) for c in cameras]
    return Wanted(robot, tuple(streams), tuple(JOINTS[robot]), cameras, guard, arm)


def image_topic(camera: str) -> str:
    return f"{camera}/color/image_raw"


def info_topic(camera: str) -> str:
    return f"{camera}/color/camera_info"


def guard_from_file(robot: str, path: Path) -> GuardConfig:
    """The guard that launch/params/<robot>.yaml chooses. Raises ConfigError naming the file and what is wrong in it."""
    try:
        document = read_yaml(path)
        chosen = document["/**/arm_node"]["ros__parameters"]["guard"]
    except (OSError, KeyError, TypeError) as problem:
        told = f"{path}: no arm_node guard settings in it ({type(problem).__name__}: {problem})"
        raise ConfigError(f"{told}; start from the file of that name in launch/params") from None
    return _guard(robot, chosen, where=str(path))


def guard_from_parameters(robot: str, parameters: Mapping[str, Any]) -> GuardConfig:
    """The guard as the running arm_node was told."""
    known = {f.name for f in fields(GuardConfig)}
    chosen = {name.removeprefix("guard."): value for name, value in parameters.items() if name.startswith("guard.")}
    preset = str(parameters.get("limits", robot))
    return _guard(preset, {name: value for name, value in chosen.items() if name in known}, where=COMMAND_OWNER)


def _guard(preset: str, chosen: Mapping[str, Any], *, where: str) -> GuardConfig:
    if preset not in PRESETS:
        raise ConfigError(f"{where}: no limits '{preset}' (there are {', '.join(PRESETS)})")
    return build(GuardConfig, {**as_mapping(PRESETS[preset]()), **chosen}, where=where)
