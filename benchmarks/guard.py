"""How long the guard takes to judge one target and one tick: 10,000 random ones each, of an FR3 with every limit on.

Prints a table, writes results/guard.json.
"""

from __future__ import annotations

import gc
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from o2o_robot.data.provenance import machine, versions
from o2o_robot.robot.kinematics import SerialArm
from o2o_robot.robot.rotation import rotated
from o2o_robot.safety.guard import Guard
from o2o_robot.safety.guard_config import GuardConfig, build_guard, fr3, limits
from o2o_robot.safety.limits_table import ArmFacts, fr3_conservative
from o2o_robot.types import ArmState, Pose

N_TARGETS = 10_000
BUDGET_P99_MS = 0.5
RESULT = Path(__file__).parent / "results" / "guard.json"


def random_state(rng: np.random.Generator, arm: SerialArm, facts: ArmFacts, config: GuardConfig) -> ArmState:
    """A state inside the joint box and the workspace, with a wrench, so that every limit has work to do."""
    while True:
        q_rad = rng.uniform(facts.min_rad, facts.max_rad)
        tool = arm.fk(q_rad)
        if np.all((tool.position_m > config.workspace_min_m) & (tool.position_m < config.workspace_max_m)):
            return ArmState(0, q_rad, np.zeros(7), tool, wrench=rng.normal(0, 20, 6))


def judge_all(guard: Guard, states: list[ArmState], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    """Wall and own-thread processor seconds of each judgement, (n,) each, and the share that was changed."""
    wall_s, cpu_s = np.empty(len(states)), np.empty(len(states))
    for i, state in enumerate(states):
        quat = rotated(state.tool.quat_xyzw, rng.normal(0, 0.05, 3))
        target = Pose(state.tool.position_m + rng.uniform(-0.04, 0.04, 3), quat)
        cpu, wall = time.thread_time(), time.perf_counter()
        guard.judge(target, state)
        wall_s[i], cpu_s[i] = time.perf_counter() - wall, time.thread_time() - cpu
    return wall_s, cpu_s, guard.snapshot().interventions / len(states)


def tick_all(guard: Guard, states: list[ArmState]) -> tuple[np.ndarray, np.ndarray]:
    """Wall and own-thread processor seconds of each tick, (n,) each, every one at other joints, as on a moving arm."""
    wall_s, cpu_s = np.empty(len(states)), np.empty(len(states))
    for i, state in enumerate(states):
        now_ns = (i + 1) * 10_000_000
        state = replace(state, stamp_ns=now_ns)
        cpu, wall = time.thread_time(), time.perf_counter()
        guard.tick(now_ns, now_ns * 1e-9, state)
        wall_s[i], cpu_s[i] = time.perf_counter() - wall, time.thread_time() - cpu
        if i % 10 == 0:  # a new target, a little further on
            guard.judge(Pose(state.tool.position_m + 0.005, state.tool.quat_xyzw), state)
    return wall_s, cpu_s


def walk(start: ArmState, rng: np.random.Generator, arm: SerialArm) -> list[ArmState]:
    """Joints wandering about the start."""
    q_rad = start.q_rad + 0.05 * np.sin(np.linspace(0, 200, N_TARGETS)[:, None] + rng.uniform(0, 6, 7))
    return [ArmState(0, row, np.zeros(7), arm.fk(row), wrench=rng.normal(0, 3, 6)) for row in q_rad]


def quantiles_ms(seconds: np.ndarray) -> dict[str, float]:
    named = {"p50": 50, "p99": 99, "p99.9": 99.9}
    return {name: round(float(np.percentile(seconds, q)) * 1e3, 4) for name, q in named.items()}


def armed(config: GuardConfig, start: ArmState) -> Guard:
    guard = build_guard(config)
    guard.engage(0, 0.0, ArmState(0, start.q_rad, np.zeros(7), start.tool))
    return guard


def main() -> None:
    rng, facts = np.random.default_rng(0), fr3_conservative()
    config = replace(fr3(), half_spaces=(0.6, 0.0, 0.8, 0.8), hard_force_n=1e3, max_force_rise_n=1e3)
    arm = facts.kinematics.with_tool(config.tool_offset_m, config.tool_quat_xyzw)
    states = [random_state(rng, arm, facts, config) for _ in range(N_TARGETS)]
    gc.freeze()
    wall_s, cpu_s, changed = judge_all(armed(config, states[0]), states, rng)
    path = walk(states[0], rng, arm)
    tick_wall_s, tick_cpu_s = tick_all(armed(config, path[0]), path)
    times = {"judge wall": wall_s, "judge cpu": cpu_s, "tick wall": tick_wall_s, "tick cpu": tick_cpu_s}
    result = {
        "what": f"Guard.judge: {len(limits(config))} limits, asked twice, 7 joints; Guard.tick with motion shaping",
        "targets": N_TARGETS,
        "share_changed": round(changed, 4),
        "ms": {name: quantiles_ms(seconds) for name, seconds in times.items()},
        "budget_p99_ms": BUDGET_P99_MS,
        "machine": machine(),
        "versions": versions(),
    }
    print(f"{'ms':>10} {'p50':>8} {'p99':>8} {'p99.9':>8}   (budget p99 {BUDGET_P99_MS})")
    for name, seconds in times.items():
        print(f"{name:>10} " + " ".join(f"{value:8.3f}" for value in quantiles_ms(seconds).values()))
    print(f"{changed:.1%} changed; {result['machine']}; {result['versions']}")
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
