"""What the twin must know of an arm's MJCF: the names of its parts, where tools are mounted, and which way it faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_robot.robot.kinematics import FR3_HAND_TCP_QUAT_XYZW

MODELS = Path(__file__).parent / "models"
_H = np.pi / 2


@dataclass(frozen=True)
class GripperModel:
    """A gripper by names: the actuator, and joints that stand at closed_at or open_at (rad or m) at its two ends.

    open_m: opening between the pads when open. ctrl_*: what the actuator is sent at either end. speed_m_s: the
    fastest the opening changes.
    """

    actuator: str = "gripper"
    joints: tuple[str, ...] = ("finger_left", "finger_right")
    closed_at: float = 0.0
    open_at: float = 0.04
    ctrl_closed: float = 0.0
    ctrl_open: float = 0.08
    open_m: float = 0.08
    speed_m_s: float = 0.1

    def __post_init__(self) -> None:
        if self.open_at == self.closed_at or self.ctrl_open == self.ctrl_closed:
            raise ConfigError(
                f"gripper '{self.actuator}': open and closed are the same (joints at {self.open_at}, "
                f"ctrl at {self.ctrl_open}); give the two ends of its travel"
            )
        if self.open_m <= 0 or self.speed_m_s <= 0:
            raise ConfigError(f"open_m={self.open_m} and speed_m_s={self.speed_m_s} must be > 0")


@dataclass(frozen=True)
class Place:
    """A point on the robot: of the site `site`, or of the body `body`; moved by offset_m and turned, in its frame."""

    site: str = ""
    body: str = ""
    offset_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quat_xyzw: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        if bool(self.site) == bool(self.body):
            raise ConfigError(f"a place is on a site or on a body, got site='{self.site}' and body='{self.body}'")


@dataclass(frozen=True)
class RobotModel:
    """An arm. World and base frame are one. `joints` and `actuators` (n,) go from base to tool.

    mount: where the twin's own tools (peg hand, gripper) sit. With a `gripper` of its own the arm keeps that instead,
    and `tool` is the point between its pads.
    facing: 1 where the table lies along +x of the base, -1 along -x. cameras: our name to the MJCF's.
    damping_nms_rad replaces the joints' own: some models hide a servo's gain there, and our controller has its own.
    """

    name: str
    mjcf: Path
    joints: tuple[str, ...]
    actuators: tuple[str, ...]
    ready_rad: tuple[float, ...]
    mount: Place | None = None
    facing: float = 1.0
    gripper: GripperModel | None = None
    tool: Place | None = None
    cameras: Mapping[str, str] = field(default_factory=dict)
    damping_nms_rad: float | None = None

    def __post_init__(self) -> None:
        if not len(self.joints) == len(self.actuators) == len(self.ready_rad) > 0:
            raise ConfigError(
                f"robot '{self.name}' has {len(self.joints)} joints, {len(self.actuators)} actuators and "
                f"{len(self.ready_rad)} ready_rad; name one actuator and one angle for each joint, base to tool"
            )
        if self.facing not in (1.0, -1.0):
            raise ConfigError(f"facing must be 1 (table along +x of the base) or -1, got {self.facing}")
        if (self.gripper is None) != (self.tool is None):
            raise ConfigError(f"robot '{self.name}': give both `gripper` and `tool` (between its pads), or neither")
        if self.mount is None and self.tool is None:
            raise ConfigError(f"robot '{self.name}' needs `mount`, where a tool goes, or its own `gripper` and `tool`")


_FR3_JOINTS = tuple(f"fr3_joint{i}" for i in range(1, 8))
_UR_JOINTS = tuple(f"{j}_joint" for j in ("shoulder_pan", "shoulder_lift", "elbow", "wrist_1", "wrist_2", "wrist_3"))

FR3 = RobotModel(
    name="fr3",
    mjcf=MODELS / "fr3.xml",
    joints=_FR3_JOINTS,
    actuators=_FR3_JOINTS,
    ready_rad=(0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, _H, np.pi / 4),  # the vendor's ready pose
    mount=Place(site="flange", quat_xyzw=FR3_HAND_TCP_QUAT_XYZW),
)

UR5E = RobotModel(
    name="ur5e",
    mjcf=MODELS / "ur5e.xml",
    joints=_UR_JOINTS,
    actuators=_UR_JOINTS,
    ready_rad=(0.27, -1.65, 2.10, -2.02, -_H, -_H + 0.27),  # elbow up, tool down over the table's middle
    mount=Place(site="flange"),
    facing=-1.0,  # what stands before base_link has a negative x in the controller's `base`
)

ROBOTS = {"fr3": FR3, "ur5e": UR5E}


def robot_model(name: str) -> RobotModel:
    """The built-in robot of this name, or the one that a YAML name map describes. Raises ConfigError for neither."""
    if name in ROBOTS:
        return ROBOTS[name]
    if Path(name).suffix in (".yaml", ".yml"):
        from o2o_sim.user_model import load

        return load(Path(name))
    raise ConfigError(f"no robot '{name}'; there are {', '.join(ROBOTS)}, or the path of a name map (.yaml)")
