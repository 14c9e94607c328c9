"""The arm contract: what every arm, real, simulated, faked or guarded, promises."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from o2o_robot.types import ArmState, Pose


class Sent(NamedTuple):
    """The target that was really sent, and why it differs from what was asked (bits of `Reason`; 0: as asked)."""

    target: Pose
    reasons: int = 0


class Arm(Protocol):
    """An arm that follows tool poses in its base frame.

    state = arm.read()
    sent = arm.command(target)      # what happened, not what was wished
    episode.add(state, sent.target)
    arm.hold()                      # stay where you are, now
    """

    def read(self) -> ArmState:
        """The latest measured state. Raises ArmError where there is none."""
        ...

    def command(self, target: Pose) -> Sent:
        """Move toward `target`; returns what was sent. Raises ArmError where the target is not finite."""
        ...

    def hold(self) -> Sent:
        """Make the measured pose the target, and return it."""
        ...
