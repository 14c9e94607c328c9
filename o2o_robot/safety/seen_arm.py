"""An arm's kinematics that are computed once for each joint position: every limit asks about the same one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from o2o_robot.robot.kinematics import SerialArm
from o2o_robot.types import Array


class _Last:
    """The last question and its answer."""

    def __init__(self) -> None:
        self.q_rad: Array | None = None
        self.answer: Array = np.zeros(0)

    def keep(self, q_rad: Array, answer: Array) -> Array:
        answer.setflags(write=False)  # it is handed out again
        self.q_rad, self.answer = np.array(q_rad), answer
        return answer


@dataclass(frozen=True)
class SeenArm(SerialArm):
    """The same numbers as SerialArm's, frames and Jacobian remembered for the joints last asked about."""

    _frames: _Last = field(default_factory=_Last, compare=False)
    _jacobian: _Last = field(default_factory=_Last, compare=False)

    def frames(self, q_rad: Array) -> Array:
        if self._frames.q_rad is not None and np.array_equal(q_rad, self._frames.q_rad):
            return self._frames.answer
        return self._frames.keep(q_rad, super().frames(q_rad))

    def jacobian(self, q_rad: Array) -> Array:
        if self._jacobian.q_rad is not None and np.array_equal(q_rad, self._jacobian.q_rad):
            return self._jacobian.answer
        return self._jacobian.keep(q_rad, super().jacobian(q_rad))


def seen(arm: SerialArm) -> SeenArm:
    return SeenArm(arm.links, arm.end)
