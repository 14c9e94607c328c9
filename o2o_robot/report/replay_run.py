"""Sends a plan's targets to an arm whose time we hold, at the times they were sent, and notes where it goes."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from o2o_robot.errors import DataError
from o2o_robot.report.replay_plan import Plan
from o2o_robot.report.replay_tracking import Motion
from o2o_robot.robot.kinematics import SerialArm
from o2o_robot.robot.rotation import matrix_from_quat, quat_from_matrix
from o2o_robot.types import ArmState, Array, Pose

_TICK_S = 0.01
_LONGEST_WAIT_S = 1.0
_SAME_START_RAD = 1e-3
_SAME_TOOL_M = 0.005


class Bench(Protocol):
    """An arm on the bench: time passes only in `advance`. The twin is one."""

    def reset(self, seed: int) -> None: ...

    def place(self, q_rad: Array) -> None: ...

    def lean(self, q_rad: Array) -> None: ...

    def aim(self, target: Pose) -> None: ...

    def grip(self, opening_m: float) -> None: ...

    def advance(self, duration_s: float) -> None: ...

    def arm_state(self) -> ArmState: ...


def begin(bench: Bench, plan: Plan, *, period_s: float) -> str:
    """Put the bench where the recording began; says how.

    A scene of the twin comes from its seed; between the reset and the first observation the recording let some time
    pass, so the wait is looked for at which the joints are where they were (to 1e-3 rad).
    """
    if plan.seed is not None:
        wait_s, miss_rad = _best_wait(bench, plan, period_s)
        if miss_rad < _SAME_START_RAD:
            _start(bench, plan.seed, wait_s)
            return f"scene of seed {plan.seed}, {wait_s:g} s after its reset; joints off by {miss_rad:.1e} rad"
    bench.reset(plan.seed or 0)
    bench.place(plan.wanted.q_rad[0])
    apart_m = float(np.linalg.norm(bench.arm_state().tool.position_m - plan.wanted.tool_m[0]))
    other = "" if apart_m < _SAME_TOOL_M else f"; another tool: its point is {apart_m * 1e3:.0f} mm from the twin's"
    return f"at the recorded joints, at rest{other}"


def with_tool_of(bench: Bench, flange: SerialArm, q_rad: Array) -> SerialArm:
    """`flange` with the tool that the bench holds, found by placing the bench at joints (n,)."""
    bench.reset(0)
    bench.place(q_rad)
    held, hand = bench.arm_state().tool, flange.frames(q_rad)[-1]
    R_base_hand, R_base_tool = hand[:3, :3], matrix_from_quat(held.quat_xyzw)
    offset_m = R_base_hand.T @ (held.position_m - hand[:3, 3])
    return flange.with_tool(offset_m.tolist(), quat_from_matrix(R_base_hand.T @ R_base_tool).tolist())


def replay(bench: Bench, plan: Plan) -> Motion:
    """The motion of the bench at the instants of plan.wanted, the first of which is now."""
    times_s = plan.wanted.t_s
    if not len(plan.commands) or (np.diff(times_s) <= 0).any():
        raise DataError(f"{plan.name} has no commands, or its stamps do not increase; look at it with o2o inspect")
    seen, now_s, following = [bench.arm_state()], 0.0, 0
    for until_s in times_s[1:]:
        while following < len(plan.commands) and plan.commands[following].t_s < until_s - 1e-9:
            now_s = _let_pass(bench, now_s, plan.commands[following].t_s)
            _send(bench, plan, following)
            following += 1
        now_s = _let_pass(bench, now_s, float(until_s))
        seen.append(bench.arm_state())
    return _motion(times_s, seen)


def _send(bench: Bench, plan: Plan, k: int) -> None:
    command = plan.commands[k]
    if plan.posture_rad is not None:
        bench.lean(plan.posture_rad[k])
    if command.opening_m is not None:
        bench.grip(command.opening_m)
    bench.aim(command.target)


def _let_pass(bench: Bench, now_s: float, until_s: float) -> float:
    """Advance by whole milliseconds, so that rounding does not add up; gives the time reached."""
    wait_s = round(until_s - now_s, 3)
    if wait_s < 0.002:  # one physics step
        return now_s
    before_ns = bench.arm_state().stamp_ns
    bench.advance(wait_s)
    return now_s + (bench.arm_state().stamp_ns - before_ns) * 1e-9


def _best_wait(bench: Bench, plan: Plan, period_s: float) -> tuple[float, float]:
    """(time to pass after the reset, largest joint error then); a whole control period, as lockstep passes, first."""
    waits = [period_s, *(k * _TICK_S for k in range(round(_LONGEST_WAIT_S / _TICK_S)))]
    assert plan.seed is not None
    bench.reset(plan.seed)
    misses = {0.0: _miss(bench, plan)}
    for wait_s in waits[2:]:
        bench.advance(_TICK_S)
        misses[wait_s] = _miss(bench, plan)
    nearest_s = min(misses, key=lambda wait_s: misses[wait_s])
    exact_s = period_s if abs(nearest_s - period_s) < _TICK_S / 2 else nearest_s
    return exact_s, misses[nearest_s]


def _start(bench: Bench, seed: int, wait_s: float) -> None:
    bench.reset(seed)
    if wait_s:
        bench.advance(wait_s)


def _miss(bench: Bench, plan: Plan) -> float:
    q_rad = bench.arm_state().q_rad
    if q_rad.shape != plan.wanted.q_rad[0].shape:
        raise DataError(
            f"{plan.name} has {plan.wanted.q_rad.shape[1]} joints, the twin {len(q_rad)}; choose the twin's --robot"
        )
    return float(np.abs(q_rad - plan.wanted.q_rad[0]).max())


def _motion(times_s: Array, states: list[ArmState]) -> Motion:
    return Motion(
        times_s,
        np.array([s.q_rad for s in states]),
        np.array([s.tool.position_m for s in states]),
        np.array([s.tool.quat_xyzw for s in states]),
    )
