"""Keeps the tool, and points fixed to it, inside a box of the base frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from o2o_robot.errors import LimitError
from o2o_robot.robot.rotation import matrix_from_quat
from o2o_robot.safety.limit import Verdict
from o2o_robot.safety.reason import Reason
from o2o_robot.types import ArmState, Array, Pose

_ROUNDING_M = 1e-9


@dataclass(frozen=True)
class WorkspaceBox:
    """Clips the target onto the box, axis by axis, so that the tool slides along a face instead of stopping at it.

    min_m, max_m (3,) base frame. checkpoints_m (k, 3): points in the tool frame that stay inside as well. A tool
    found outside may come back in but go no further out; further outside than `stray_m` it is held, and a person
    brings it back. Links are not checked (elbow: a later limit).
    """

    min_m: Array
    max_m: Array
    checkpoints_m: Array = field(default_factory=lambda: np.zeros((0, 3)))
    stray_m: float = 0.02

    def __post_init__(self) -> None:
        low, high = np.asarray(self.min_m, np.float64), np.asarray(self.max_m, np.float64)
        if low.shape != (3,) or high.shape != (3,) or not np.isfinite([low, high]).all() or not (low < high).all():
            raise LimitError(
                f"workspace {low.tolist()} .. {high.tolist()} m must be finite, three numbers each, min below max; "
                "measure the corners with the tool and enter them in metres"
            )
        points = np.asarray(self.checkpoints_m, np.float64)
        if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
            raise LimitError(
                f"checkpoints_m must be finite, of shape (k, 3), got {points.tolist()}; metres, tool frame"
            )
        if not (np.isfinite(self.stray_m) and self.stray_m >= 0):
            raise LimitError(f"stray_m must be >= 0, got {self.stray_m}; 0.02 lets a tool come back from 20 mm outside")
        object.__setattr__(self, "min_m", low)
        object.__setattr__(self, "max_m", high)
        object.__setattr__(self, "checkpoints_m", points)

    def __call__(self, target: Pose, state: ArmState) -> Verdict:
        low, high = self._room(target)
        now = state.tool.position_m
        position = np.clip(target.position_m, np.minimum(low, now), np.maximum(high, now))
        if np.any((now < low - self.stray_m) | (now > high + self.stray_m)):
            position = now
        if np.abs(position - target.position_m).max() <= _ROUNDING_M:
            return Verdict(target)
        return Verdict(Pose(position, target.quat_xyzw), Reason.WORKSPACE)

    def _room(self, target: Pose) -> tuple[Array, Array]:
        """Where the tool's origin may be, at the target's orientation, for every checkpoint to be inside."""
        if not len(self.checkpoints_m):
            return self.min_m, self.max_m
        reach = np.vstack([np.zeros(3), self.checkpoints_m @ matrix_from_quat(target.quat_xyzw).T])
        return self.min_m - reach.min(axis=0), self.max_m - reach.max(axis=0)
