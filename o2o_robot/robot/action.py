"""What an action's numbers mean in space: values in [-1, 1] to a tool pose, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from o2o_robot.errors import ArmError, ConfigError
from o2o_robot.types import ArmState, Array, Pose

TOOL_DOWN_XYZW = (1.0, 0.0, 0.0, 0.0)
"""The tool's z axis along the base's -z, its x axis along the base's x."""


@dataclass(frozen=True)
class DeltaPosition:
    """Three values move the tool along base x, y, z by up to `scale_m` each; the orientation is fixed.

    The target is counted from the *measured* tool position, not from the last commanded one. So a tool pressed against
    something does not wind its target up behind the contact, and the transition depends on nothing the policy cannot
    see (Markov). The price: a steady tracking error is not integrated away.

    target = space.target(action.values, state)
    sent = arm.command(target)
    executed = space.values(sent.target, state)     # the same state: this is what is stored
    """

    scale_m: float = 0.025
    quat_xyzw: tuple[float, float, float, float] = TOOL_DOWN_XYZW

    n_action: ClassVar[int] = 3

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale_m) and self.scale_m > 0):
            raise ConfigError(f"scale_m must be > 0, got {self.scale_m}; 0.025 is 25 mm a step")
        if not abs(np.linalg.norm(self.quat_xyzw) - 1.0) < 1e-6:
            raise ConfigError(f"quat_xyzw must have unit norm, got {self.quat_xyzw}; (1, 0, 0, 0) points the tool down")

    def target(self, values: Array, state: ArmState) -> Pose:
        """The pose that values (n_action,) ask for; clips nothing. Raises ArmError unless they are finite numbers."""
        values = np.asarray(values, np.float64)
        if values.shape != (self.n_action,) or not np.isfinite(values).all():
            raise ArmError(f"action {values.tolist()} must be {self.n_action} finite numbers; look at what proposed it")
        return Pose(state.tool.position_m + self.scale_m * values[:3], np.asarray(self.quat_xyzw, np.float64))

    def values(self, target: Pose, state: ArmState) -> Array:
        """The values (3,) float32 that ask for `target` from `state`: the inverse of `target` in position."""
        return ((target.position_m - state.tool.position_m) / self.scale_m).astype(np.float32)

    def opening_m(self, values: Array) -> float | None:
        """What the gripper should open to; None leaves it as it is, always so where the action has no gripper."""
        return None

    def executed(self, target: Pose, state: ArmState, asked: Array) -> Array:
        """The values (n_action,) that `asked` came to when `target` was sent: what is stored and learned from."""
        return self.values(target, state)


@dataclass(frozen=True)
class DeltaPositionGripper(DeltaPosition):
    """Four values: those of DeltaPosition, then the gripper's: below -0.5 closes, above 0.5 opens, else it is left.

    The same meaning as the discrete gripper of HIL-SERL (arXiv:2410.21845), which sends -1, 0 and 1. No limit of the
    guard acts on a gripper, so its value is executed as asked.
    """

    open_m: float = 0.08

    n_action: ClassVar[int] = 4

    def opening_m(self, values: Array) -> float | None:
        if abs(values[3]) <= 0.5:
            return None
        return self.open_m if values[3] > 0 else 0.0

    def executed(self, target: Pose, state: ArmState, asked: Array) -> Array:
        return np.append(self.values(target, state), np.float32(asked[3]))
