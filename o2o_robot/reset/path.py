"""Home by a way of one's own: up, across and down, or through given poses or joints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_robot.reset.follow import Motion, follow
from o2o_robot.reset.orders import Felt, Talk
from o2o_robot.robot.kinematics import SerialArm
from o2o_robot.types import ArmState, Array

OVER_M = 0.02  # within this of home, sideways, there is no need to go up first


@dataclass(frozen=True)
class Path:
    """Straight up to travel_z_m, across, down to home_m (3,); where `via_m` are given, through those after the rise.

    Actions steer the tool's position, so a way in joint space is the tool's way through it: see tool_way.
    """

    home_m: Array
    motion: Motion = field(default_factory=Motion)
    travel_z_m: float = 0.25
    via_m: tuple[Array, ...] = ()
    name: str = "path"

    def run(self, felt: Felt) -> Talk:
        return (yield from follow(self.motion.pace.reference(self.points_m(felt.state)), felt, self.motion))

    def points_m(self, state: ArmState) -> list[Array]:
        """From where the tool is, to home."""
        here, home = state.tool.position_m, np.asarray(self.home_m, np.float64)
        if np.linalg.norm(here[:2] - home[:2]) < OVER_M and here[2] >= home[2] - OVER_M and not self.via_m:
            return [here, home]
        z = max(self.travel_z_m, home[2], here[2])
        across = self.via_m or (np.array([*home[:2], z]),)
        return [here, np.array([*here[:2], z]), *across, home]


def tool_way(kinematics: SerialArm, joints_rad: Sequence[float], state: ArmState) -> tuple[Array, ...]:
    """The tool's places (3,) m on a way through joints, (k * n) numbers one pose after the other.

    The tool is taken to sit where it was measured with these joints. Raises ConfigError for a number that is no
    multiple of the arm's joints.
    """
    n = kinematics.n_joints
    if len(joints_rad) % n:
        raise ConfigError(f"a way of {len(joints_rad)} joint angles, this arm has {n} joints; give whole poses")
    arm = kinematics.with_tool_at(state.tool, state.q_rad)
    return tuple(arm.fk(q_rad).position_m for q_rad in np.reshape(np.asarray(joints_rad, np.float64), (-1, n)))
