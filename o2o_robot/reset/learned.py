"""Home by a policy that was trained to reset: a checkpoint, or anything that acts on observations."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Protocol

import numpy as np

from o2o_robot.reset.follow import Motion, follow, proceed
from o2o_robot.reset.orders import Ended, Felt, Move, Talk
from o2o_robot.robot.proprioception import proprioception
from o2o_robot.types import Array, Observation


class Acts(Protocol):
    """What a learned reset needs of a policy: o2o_robot.policy.Policy is one."""

    def begin_episode(self) -> None: ...

    def act(self, observation: Observation) -> Array: ...


@dataclass(frozen=True)
class Learned:
    """The policy acts, max_steps at most, until the tool is within reach_m of home_m (3,); then it is brought there.

    It sees the newest picture of each camera and the arm's proprioception.
    """

    policy: Acts
    home_m: Array
    motion: Motion = field(default_factory=Motion)
    reach_m: float = 0.04
    max_steps: int = 100
    name: str = "learned"

    def run(self, felt: Felt) -> Talk:
        self.policy.begin_episode()
        refused = 0
        for _ in range(self.max_steps):
            if self._off_m(felt) <= self.reach_m:
                reference = self.motion.pace.reference([felt.state.tool.position_m, self.home_m])
                return (yield from follow(reference, felt, self.motion))
            seen = Observation(felt.state.stamp_ns, felt.images, proprioception(felt.state))
            move = Move(np.asarray(self.policy.act(seen), np.float32))
            felt, refused = yield from proceed(move, refused, self.motion)
        return Ended(f"the policy left it {self._off_m(felt) * 1e3:.0f} mm from home in {self.max_steps} steps", felt)

    def _off_m(self, felt: Felt) -> float:
        return float(np.linalg.norm(felt.state.tool.position_m - self.home_m))


def policy_of(checkpoint: str | File) -> Acts:
    """The policy of a checkpoint's folder; its mean acts. Raises CheckpointError where it is missing or damaged."""
    from o2o_robot.policy import Policy  # torch, only where a chain asks for it

    return Policy.load(checkpoint)
