"""Keeps the joints that a tool step would lead to inside their box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from o2o_robot.errors import LimitError
from o2o_robot.safety.joint_prediction import JointPrediction
from o2o_robot.safety.limit import Verdict, shorten
from o2o_robot.safety.reason import Reason
from o2o_robot.types import ArmState, Array, Pose

_ROUNDING_RAD = 1e-9


@dataclass(frozen=True)
class JointBox:
    """Shortens the step until every predicted joint is inside [min_rad + margin, max_rad - margin].

    The prediction is one damped, least-norm inverse-kinematics step from the measured joints: what a controller does
    with the spare joint of a 7-axis arm is not known here, which the margin is for. A joint found outside may only
    move back in.
    """

    predict: JointPrediction
    min_rad: Array
    max_rad: Array
    margin_rad: float = 0.02

    def __post_init__(self) -> None:
        shape = (self.predict.n_joints,)
        if np.shape(self.min_rad) != shape or np.shape(self.max_rad) != shape:
            raise LimitError(
                f"joint box of shapes {np.shape(self.min_rad)} and {np.shape(self.max_rad)} for an arm of "
                f"{self.predict.n_joints} joints; take both from one robot's table"
            )
        if not (np.isfinite(self.margin_rad) and self.margin_rad >= 0):
            raise LimitError(f"joint margin must be >= 0, got {self.margin_rad}; 0.02 rad is about one degree")
        if not np.all(self.max_rad - self.min_rad > 2 * self.margin_rad):  # written so that NaN fails too
            raise LimitError(
                f"joint box {np.asarray(self.min_rad).tolist()} .. {np.asarray(self.max_rad).tolist()} rad is empty "
                f"or inverted within its margin of {self.margin_rad} rad; check the table and its signs"
            )

    def __call__(self, target: Pose, state: ArmState) -> Verdict:
        motion_rad = self.predict(target, state)
        up = np.maximum(self.max_rad - self.margin_rad - state.q_rad, 0.0)
        down = np.maximum(state.q_rad - self.min_rad - self.margin_rad, 0.0)
        fraction = largest_fraction(motion_rad, down=down, up=up)
        if fraction == 1.0:
            return Verdict(target)
        return Verdict(shorten(target, state, translation=fraction, rotation=fraction), Reason.JOINT_POSITION)


def largest_fraction(motion_rad: Array, *, down: Array, up: Array) -> float:
    """The largest fraction in [0, 1] of `motion_rad` (n,) that stays within `down` and `up` (n,), both >= 0.

    One fraction for all joints keeps the tool on its line.
    """
    room = np.where(motion_rad > 0, up, down)
    size = np.abs(motion_rad)
    over = size > room + _ROUNDING_RAD
    return float(np.min(room[over] / size[over])) if over.any() else 1.0
