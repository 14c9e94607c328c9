"""A device as the actor of a session: who demonstrates."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from o2o_nodes.sight import Look
from o2o_robot.teleop.device import Device, Moment
from o2o_robot.teleop.hand import Operator
from o2o_robot.types import Mode


class DeviceActor:
    """What the hand asks for at each look; where it has let go, the arm holds still."""

    revision = 0

    def __init__(
        self, device: Device, operator: Operator, n_action: int, done: Callable[[tuple[str, ...]], None]
    ) -> None:
        """done: told of the deeds (hand.DEEDS) that were pressed."""
        self.source = device.source
        self._device, self._operator, self._done = device, operator, done
        self._still = np.zeros(n_action, np.float32)
        self.steps_held = self.steps = 0

    def begin(self, mode: Mode, seed: int) -> None:
        self._device.begin(seed)

    def act(self, look: Look) -> np.ndarray:
        moment = Moment(time.monotonic(), look.observation.stamp_ns, look.arm, look.task)
        hand = self._operator.see(self._device.read(moment), moment)
        self._done(hand.deeds)
        self.steps += 1
        self.steps_held += hand.is_held
        return hand.values if hand.is_held else self._still

    def q(self) -> float:
        """A hand has no critic."""
        return float("nan")
