"""A second arm that a person leads by hand. Ours follows its motion since the clutch closed, never its place: wherever
the two stand then, nothing jumps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from o2o_robot.errors import ConfigError, DeviceError
from o2o_robot.robot.kinematics import SerialArm, fr3, ur5e
from o2o_robot.teleop.axes import AxisRules, within_box
from o2o_robot.teleop.device import N_AXES, Clock, Moment, Reading
from o2o_robot.teleop.fed import Fed
from o2o_robot.teleop.hand import Buttons
from o2o_robot.teleop.settings import described
from o2o_robot.types import Array, Source

ARMS = {"fr3": fr3, "ur5e": ur5e}
CLUTCHES = ("topic", "always")
SILENT_S = 0.3  # after which it leads anew, from where the two then stand


@dataclass(frozen=True)
class LeaderConfig:
    """See the sentences."""

    pose: str = described("leader/current_pose", "PoseStamped of its tool; empty: joint_states is heard instead")
    joint_states: str = described("leader/joint_states", "JointState of it: its tool where pose is empty, its gripper")
    arm: str = described("fr3", "fr3 or ur5e: which arm it is, where its tool comes from its joints")
    joints: tuple[str, ...] = described(("",), "names of its joints from base to tool, where its tool comes from them")
    gripper_joint: str = described("", "name in joint_states of its gripper or trigger; empty: none")
    gripper_open: float = described(0.08, "position of that joint when it is open; half of it divides open from closed")
    clutch: str = described("topic", "topic: it leads while `clutch_topic` says true; always: from its first word on")
    clutch_topic: str = described("leader/clutch", "std_msgs/Bool: a pedal, or the leader's own button")
    scale: float = described(1.0, "metres of our tool for a metre of its")
    turn_rad: float = described(0.0, "how its base is turned against ours, about the vertical")
    action_scale_m: float = described(0.025, "metres of tool motion for an action of 1, as arm_node's")

    def __post_init__(self) -> None:
        if self.clutch not in CLUTCHES:
            raise ConfigError(f"clutch is '{self.clutch}' (there are {', '.join(CLUTCHES)})")
        if not self.pose and (self.arm not in ARMS or not any(self.joints)):
            allowed = f"arm is one of {', '.join(ARMS)}, and joints its names"
            raise ConfigError(f"leader: its tool comes from joint_states, arm is '{self.arm}'; {allowed}")
        if self.scale <= 0 or self.action_scale_m <= 0:
            raise ConfigError(f"scale={self.scale} and action_scale_m={self.action_scale_m} must be > 0; try 1, 0.025")


class Leader(Fed):
    """Gives an action's own values: what our tool lacks of the leader's motion, shortened to what one step may do.

    What a step had to leave out is not lost: the next ones make up for it, until the clutch opens.
    """

    Config = LeaderConfig
    rules: ClassVar[AxisRules] = AxisRules(deadband=0.0, expo=0.0)
    buttons: ClassVar[Buttons] = Buttons()
    source: ClassVar[Source] = Source.TELEOP

    def __init__(self, config: LeaderConfig, clock: Clock) -> None:
        super().__init__(clock)
        self.config = config
        self._arm: SerialArm | None = None if config.pose else ARMS[config.arm]()
        cosine, sine = np.cos(config.turn_rad), np.sin(config.turn_rad)
        self._turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        self._tool_m: Array | None = None
        self._heard_s = -np.inf
        self._grip = 0.0
        self._is_closed = config.clutch == "always"
        self._from: tuple[Array, Array] | None = None  # its tool and ours, when it began to lead

    def hear_pose(self, position_m: Array) -> None:
        """Where its tool is in its own base, (3,). Raises DeviceError where it is not finite."""
        position_m = np.asarray(position_m, np.float64)
        if not np.isfinite(position_m).all():
            raise DeviceError(f"leader: its tool is at {position_m.tolist()}: not finite; look at its driver")
        self._tool_m, self._heard_s = position_m, self._clock()

    def hear_joints(self, position_of: Mapping[str, float]) -> None:
        """Its joints by name, rad, and its gripper's. Raises DeviceError for a name that is missing."""
        names = [*(self.config.joints if self._arm else ()), self.config.gripper_joint]
        missing = [name for name in names if name and name not in position_of]
        if missing:
            raise DeviceError(f"leader: {', '.join(missing)} not in {self.config.joint_states}; set leader.joints")
        if self.config.gripper_joint:
            opening = position_of[self.config.gripper_joint]
            self._grip = 1.0 if opening > self.config.gripper_open / 2 else -1.0
        if self._arm is not None:
            q_rad = np.array([position_of[name] for name in self.config.joints])
            self.hear_pose(self._arm.fk(q_rad).position_m)

    def hear_clutch(self, is_closed: bool) -> None:
        """Whether a person wants to lead now."""
        if self.config.clutch == "topic":
            self._is_closed = is_closed

    def begin(self, seed: int) -> None:
        """A new episode: our arm was put back to its start, and is led from there."""
        self._from = None

    def read(self, moment: Moment) -> Reading | None:
        if self._tool_m is None or moment.arm is None:
            return None
        if not self._is_closed or moment.now_s - self._heard_s > SILENT_S:
            self._from = None
            return Reading(self._heard_s, is_held=False)
        self._from = self._from or (self._tool_m, moment.arm.tool.position_m)
        began_m, ours_m = self._from
        wanted_m = ours_m + self.config.scale * (self._turn @ (self._tool_m - began_m))
        values = within_box((wanted_m - moment.arm.tool.position_m) / self.config.action_scale_m)
        axes = np.append(values, np.zeros(N_AXES - 3))
        return Reading(self._heard_s, axes, gripper=self._grip, is_held=True)
