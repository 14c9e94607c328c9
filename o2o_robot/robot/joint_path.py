"""Joint positions over time, as a joint trajectory controller follows them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from o2o_robot.errors import ArmError
from o2o_robot.types import Array


@dataclass(frozen=True)
class JointPath:
    """Straight lines in joint space through q_rad (k, n) at the stamps at_ns (k,), which increase; held outside."""

    at_ns: Array
    q_rad: Array

    def __post_init__(self) -> None:
        if np.ndim(self.q_rad) != 2 or len(self.at_ns) != len(self.q_rad) or not len(self.at_ns):
            raise ArmError(f"a path of {len(self.at_ns)} times and {len(self.q_rad)} points; give one time to each")
        if not np.isfinite(self.q_rad).all():
            raise ArmError("a path holds joint positions that are not finite; look at what computed it")
        if (np.diff(self.at_ns) <= 0).any():
            raise ArmError("a path's times must increase from point to point; look at time_from_start")

    def at(self, stamp_ns: int) -> Array:
        """Where the joints should be, (n,) rad."""
        since_s = (np.asarray(self.at_ns) - self.at_ns[0]) * 1e-9  # differences first: stamps exceed a double's 53 bits
        now_s = (stamp_ns - int(self.at_ns[0])) * 1e-9
        return np.array([np.interp(now_s, since_s, column) for column in np.transpose(self.q_rad)])
