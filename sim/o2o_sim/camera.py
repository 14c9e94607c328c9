"""The simulated cameras behind the camera contract."""

from __future__ import annotations

from o2o_robot.robot.camera import Frame
from o2o_sim.twin import Twin


class MujocoCamera:
    """One camera of the twin; its frame is of this very moment, or the latest that its sensor model has let through."""

    def __init__(self, twin: Twin, name: str) -> None:
        self._twin, self.name = twin, name

    def read(self) -> Frame:
        return self._twin.frame(self.name)

    def close(self) -> None:
        """Nothing of its own to let go of: the twin renders."""
