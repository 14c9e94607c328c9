"""Keeps the tool, and points fixed to it, on the inner side of planes: a convex set beside the workspace's box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from o2o_robot.errors import LimitError
from o2o_robot.robot.rotation import matrix_from_quat
from o2o_robot.safety.limit import LESS, Verdict
from o2o_robot.safety.reason import Reason
from o2o_robot.types import ArmState, Array, Pose

_ROUNDING_M = 1e-9


@dataclass(frozen=True)
class Planes:
    """Half-spaces normals (m, 3) @ p <= offsets_m (m,) of the base frame; normals are of unit length, pointing out."""

    normals: Array
    offsets_m: Array

    def __post_init__(self) -> None:
        normals, offsets_m = np.asarray(self.normals, np.float64), np.asarray(self.offsets_m, np.float64)
        lengths = np.linalg.norm(normals, axis=-1)
        if not (np.isfinite(lengths).all() and (np.abs(lengths - 1.0) < 1e-3).all() and np.isfinite(offsets_m).all()):
            raise LimitError(
                f"half-spaces with normals {normals.tolist()} and offsets {offsets_m.tolist()} m: normals must be "
                "finite and of unit length; 0, 0, -1, -0.02 is everything above z = 20 mm"
            )
        object.__setattr__(self, "normals", normals / lengths[:, None])
        object.__setattr__(self, "offsets_m", offsets_m)


def planes(numbers: Sequence[float]) -> Planes:
    """From a flat list: nx, ny, nz, offset_m of each half-space."""
    if len(numbers) % 4:
        raise LimitError(f"half-spaces hold {len(numbers)} numbers; give nx, ny, nz, offset_m of each")
    rows = np.array(numbers, np.float64).reshape(-1, 4)
    return Planes(rows[:, :3], rows[:, 3])


@dataclass(frozen=True)
class HalfSpaces:
    """Slides the target along a plane that it would pass, and stops it where sliding passes another.

    checkpoints_m (k, 3): points in the tool frame that stay inside as well. A tool found outside may come back in but
    go no further out.
    """

    planes: Planes
    checkpoints_m: Array = field(default_factory=lambda: np.zeros((0, 3)))

    def __call__(self, target: Pose, state: ArmState) -> Verdict:
        normals, now = self.planes.normals, state.tool.position_m
        room = np.maximum(self._room(target), normals @ now)
        if (normals @ target.position_m <= room + _ROUNDING_M).all():
            return Verdict(target)
        slid = _slid(target.position_m, normals, room)
        return Verdict(Pose(_stopped(slid, now, normals, room), target.quat_xyzw), Reason.WORKSPACE)

    def _room(self, target: Pose) -> Array:
        """How far out the tool's origin may be (m,), at the target's orientation, for every point to be inside."""
        if not len(self.checkpoints_m):
            return self.planes.offsets_m
        reach = self.planes.normals @ matrix_from_quat(target.quat_xyzw) @ self.checkpoints_m.T
        return self.planes.offsets_m - np.maximum(reach.max(axis=1), 0.0)


def _slid(position_m: Array, normals: Array, room: Array) -> Array:
    for normal, most in zip(normals, room, strict=True):
        over = float(normal @ position_m) - most
        if over > 0:
            position_m = position_m - over * normal
    return position_m


def _stopped(position_m: Array, now_m: Array, normals: Array, room: Array) -> Array:
    """As far along the line from `now_m` as every plane allows."""
    step = position_m - now_m
    outward = normals @ step
    left = room - normals @ now_m
    over = outward > left + _ROUNDING_M
    if not over.any():
        return position_m
    return now_m + LESS * float(np.min(left[over] / outward[over])) * step
