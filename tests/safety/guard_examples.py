"""States and fakes for the safety tests. The fakes check what they are given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from o2o_robot.robot.arm import Sent
from o2o_robot.robot.kinematics import FR3_HAND_TCP_OFFSET_M, FR3_HAND_TCP_QUAT_XYZW, fr3
from o2o_robot.safety.guard import Guard
from o2o_robot.safety.guard_config import GuardConfig, build_guard, twin
from o2o_robot.types import Action, ArmState, Pose, Source

READY_RAD = np.array([0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4])
HAND = fr3().with_tool(FR3_HAND_TCP_OFFSET_M, FR3_HAND_TCP_QUAT_XYZW)
MS = 1_000_000


def roomy(**changes: object) -> GuardConfig:
    """The twin's settings around the ready pose, with room on every side."""
    return replace(twin(), workspace_min_m=(0.1, -0.4, 0.1), workspace_max_m=(0.7, 0.4, 0.8), **changes)


def state_at(q_rad: np.ndarray = READY_RAD, *, stamp_ns: int = 0, wrench: np.ndarray | None = None) -> ArmState:
    q_rad = np.array(q_rad, np.float64)
    return ArmState(stamp_ns, q_rad, np.zeros(7), HAND.fk(q_rad), wrench=wrench)


def moved(state: ArmState, offset_m: object) -> Pose:
    return Pose(state.tool.position_m + np.asarray(offset_m, np.float64), state.tool.quat_xyzw)


def engaged(config: GuardConfig | None = None, state: ArmState | None = None) -> Guard:
    guard = build_guard(config or roomy())
    guard.engage(0, 0.0, state or state_at())
    return guard


def action(seq: int = 1, *, stamp_ns: int = 0, values: object = (0.1, 0.0, 0.0), **changes: object) -> Action:
    return replace(Action(stamp_ns, seq, np.asarray(values, np.float32), Source.POLICY), **changes)


class RecordingArm:
    """An arm that stays where it is put, refuses what is not finite, and remembers every target."""

    def __init__(self, state: ArmState | None = None) -> None:
        self.state = state or state_at()
        self.targets: list[Pose] = []

    def read(self) -> ArmState:
        return self.state

    def command(self, target: Pose) -> Sent:
        assert np.isfinite(target.position_m).all()
        assert np.isfinite(target.quat_xyzw).all()
        self.targets.append(target)
        return Sent(target)

    def hold(self) -> Sent:
        return self.command(self.state.tool)
