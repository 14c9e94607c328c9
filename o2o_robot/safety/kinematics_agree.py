"""Catches the wrong robot's table, or a tool nobody told us of, before anything moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from o2o_robot.robot.kinematics import SerialArm
from o2o_robot.safety.reason import NONE, Reason
from o2o_robot.types import ArmState


@dataclass(frozen=True)
class KinematicsAgree:
    """Refuses to arm where the measured tool is not where the joints say it is: another robot's table, another tool."""

    arm: SerialArm
    max_m: float

    def __call__(self, state: ArmState) -> Reason:
        error_m = np.linalg.norm(self.arm.fk(state.q_rad).position_m - state.tool.position_m)
        return Reason.KINEMATICS if error_m > self.max_m else NONE
