"""Whether the arm is at the start: what stands against it, in words, so that a person can put it right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from o2o_robot.reset.start import Start, Tolerances
from o2o_robot.types import ArmState, Array


def why_not_at(
    state: ArmState, start: Start, tolerances: Tolerances, *, place_m: Array | None = None, joints: Sequence[str] = ()
) -> list[str]:
    """What of the arm is not as the start wants it: tool, joints (by name), gripper, rest. Empty: all is.

    place_m: where the tool is to be, (3,); without it at home. A number that is not finite is never at a start.
    """
    checks = (
        _tool(state, np.array(start.position_m) if place_m is None else place_m, tolerances),
        *_joints(state, start, tolerances, joints),
        _gripper(state, start, tolerances),
        _rest(state, tolerances),
    )
    return [why for why in checks if why]


def _tool(state: ArmState, place_m: Array, tolerances: Tolerances) -> str:
    if not len(place_m):
        return ""
    off_m = float(np.linalg.norm(state.tool.position_m - place_m))
    if off_m <= tolerances.position_m:
        return ""
    return f"the tool is {off_m * 1e3:.0f} mm from its start, {tolerances.position_m * 1e3:.0f} at most"


def _joints(state: ArmState, start: Start, tolerances: Tolerances, names: Sequence[str]) -> list[str]:
    wanted = np.array(start.joints_rad)
    if not len(wanted):
        return []
    if wanted.shape != state.q_rad.shape:
        return [f"the start names {len(wanted)} joints, the arm has {len(state.q_rad)}"]
    off = np.abs(state.q_rad - wanted)
    wrong = np.flatnonzero(~(off <= tolerances.joints_rad)).tolist()
    told = [names[i] if i < len(names) else f"joint {i + 1}" for i in wrong]
    return [f"{name} is {off[i]:.2f} rad from its start" for name, i in zip(told, wrong, strict=True)]


def _gripper(state: ArmState, start: Start, tolerances: Tolerances) -> str:
    if start.gripper_m is None or abs(state.gripper_m - start.gripper_m) <= tolerances.gripper_m:
        return ""
    return f"the gripper is {state.gripper_m * 1e3:.0f} mm open, at a start {start.gripper_m * 1e3:.0f}"


def _rest(state: ArmState, tolerances: Tolerances) -> str:
    fastest = float(np.abs(state.dq_rad).max())
    return "" if fastest <= tolerances.speed_rad_s else f"the arm still moves, {fastest:.2f} rad/s"
