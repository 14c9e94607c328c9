"""Actions from motion, for recordings that hold no command: what moved between a tick and the next is what was done."""

from __future__ import annotations

from o2o_robot.data.contract import Contract
from o2o_robot.data.plan import Plan
from o2o_robot.data.streams import Recording
from o2o_robot.types import Array


def motion(recording: Recording, contract: Contract, names: dict[str, str], plan: Plan) -> Array:
    """The change of the contract's action stream from each tick to the next, raw (T, k).

    delta_joint: radians a joint. delta_pose: metres (3), then the rotation vector (3) of R_next R_now^T, base frame.
    """
    raise NotImplementedError
