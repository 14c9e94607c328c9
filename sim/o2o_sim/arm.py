"""The simulated arm behind the arm contract."""

from __future__ import annotations

from o2o_robot.robot.arm import Sent
from o2o_robot.types import ArmState, Pose
from o2o_sim.twin import Twin


class MujocoArm:
    """The twin's arm. Commanding it does not move time: the twin's owner does, with `twin.advance`."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin

    def read(self) -> ArmState:
        return self._twin.arm_state()

    def command(self, target: Pose) -> Sent:
        self._twin.aim(target)
        return Sent(target)

    def grip(self, opening_m: float) -> None:
        """Bring the gripper's pads that far apart. Raises ArmError where there is no gripper, or it opens less far."""
        self._twin.grip(opening_m)

    def hold(self) -> Sent:
        return self.command(self._twin.arm_state().tool)
