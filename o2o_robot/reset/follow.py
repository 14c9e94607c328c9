"""Takes the arm along a reference, one guarded action at a time, and gives up where it does not get on."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_robot.reset.orders import Ended, Felt, Halted, Move, Order, Resume, Talk
from o2o_robot.reset.waypath import Pace
from o2o_robot.safety.reason import Reason, names
from o2o_robot.types import ArmState, Array, Source

LATCHED = Reason.LATCHED | Reason.ESTOP | Reason.FORCE_HARD
GAINED_M = 0.0005
RESUME_EVERY = 5  # refused actions: what stopped the guard may be over by then


@dataclass(frozen=True)
class Motion:
    """How a reset moves. scale_m: of an action of 1, as arm_node's. grip: the gripper's value of every action, none
    where actions have no gripper.

    lead_m: the reference waits for an arm that is further behind. near_m: near enough to an end, once no joint is
    faster than rest_rad_s. patience: periods without getting nearer, or refused in a row, after which it gives up.
    """

    scale_m: float = 0.025
    grip: float | None = None
    pace: Pace = field(default_factory=Pace)
    lead_m: float = 0.04
    near_m: float = 0.004
    rest_rad_s: float = 0.05
    patience: int = 20

    def __post_init__(self) -> None:
        if not (self.scale_m > 0 and self.lead_m > self.near_m > 0 and self.patience > 0):
            raise ConfigError("a reset's scale_m, near_m and patience must be > 0, and lead_m above near_m; see Motion")

    def toward(self, point_m: Array, state: ArmState) -> Move:
        """The action of one period straight toward a point, (3,) m."""
        values = (np.asarray(point_m) - state.tool.position_m) / self.scale_m
        values = values / max(1.0, float(np.abs(values).max()))
        grip = [] if self.grip is None else [self.grip]
        return Move(np.array([*values, *grip], np.float32))


def follow(reference_m: Array, felt: Felt, motion: Motion) -> Talk:
    """Along references (k, 3) m to the last; why it got stuck, where it did. Raises Halted where the guard has stopped.

    A person who takes over is waited for; from where they leave it, the way goes on.
    """
    at, waited, refused, least_m = 0, 0, 0, np.inf
    while True:
        behind_m = float(np.linalg.norm(reference_m[at] - felt.state.tool.position_m))
        is_last = at == len(reference_m) - 1
        stands = np.abs(felt.state.dq_rad).max() <= motion.rest_rad_s or waited >= motion.patience
        if is_last and behind_m <= motion.near_m and stands:
            return Ended("", felt)
        if behind_m <= motion.lead_m and not is_last:
            at, waited, least_m = at + 1, 0, np.inf
        elif behind_m < least_m - GAINED_M:
            waited, least_m = 0, behind_m
        elif waited >= motion.patience:
            return Ended(f"stuck {behind_m * 1e3:.0f} mm from {_told(reference_m[at])}", felt)
        felt, refused = yield from proceed(motion.toward(reference_m[at], felt.state), refused, motion)
        waited += not (refused or is_a_persons(felt))


class Proceeded(NamedTuple):
    """What an action came to, and how many in a row the guard has refused by now."""

    felt: Felt
    refused: int


def proceed(move: Move, refused: int, motion: Motion) -> Generator[Order, Felt, Proceeded]:
    """One action; now and then, while the guard refuses them, a start anew. Raises Halted where that does not help."""
    felt = yield move
    if not was_refused(felt):
        return Proceeded(felt, 0)
    if refused + 1 > motion.patience:
        raise Halted(f"the guard follows nobody ({_reasons(felt)})")
    if refused % RESUME_EVERY == 0:
        felt = (yield Resume())._replace(executed=felt.executed)
    return Proceeded(felt, refused + 1)


def was_refused(felt: Felt) -> bool:
    """Whether the guard refused the last action for another reason than a person. Raises Halted where it is latched."""
    reasons = Reason(0) if felt.executed is None else Reason(felt.executed.reasons)
    if reasons & LATCHED:
        raise Halted(f"the guard has stopped the arm ({_reasons(felt)})")
    return bool(reasons & Reason.HOLD) and not is_a_persons(felt)


def is_a_persons(felt: Felt) -> bool:
    """Whether a person has the arm."""
    told = felt.executed
    return told is not None and (told.source is Source.TELEOP or bool(told.reasons & Reason.TAKEOVER))


def _reasons(felt: Felt) -> str:
    return ", ".join(names(felt.executed.reasons if felt.executed else 0))


def _told(point_m: Array) -> str:
    return "({})".format(", ".join(f"{value:.3f}" for value in point_m))
