"""Control steps per second of the twin, in process, with two 64x64 cameras. Writes results/twin.json."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from o2o_robot.data.provenance import machine, versions
from o2o_robot.robot.action import DeltaPosition
from o2o_sim.envs import make_env
from o2o_sim.twin import Twin

OUT = Path(__file__).parent / "results" / "twin.json"
N_STEPS = 300
SPACE = DeltaPosition()


def rate_per_s(act: Callable[[], object], n: int = N_STEPS) -> float:
    """Calls per second; the best of three rounds, since other load only ever slows it."""
    rounds = []
    for _ in range(3):
        start_s = time.perf_counter()
        for _ in range(n):
            act()
        rounds.append(n / (time.perf_counter() - start_s))
    return max(rounds)


def physics(twin: Twin) -> Callable[[], object]:
    """One control period of random motion, without a picture."""
    rng = np.random.default_rng(0)
    return lambda: twin.step(SPACE.target(rng.uniform(-0.3, 0.3, 3), twin.arm_state()))


def physics_and_pictures(twin: Twin) -> Callable[[], object]:
    move = physics(twin)

    def act() -> None:
        move()
        twin.images()

    return act


def gymnasium_steps() -> Callable[[], object]:
    env, rng = make_env("peg"), np.random.default_rng(0)
    env.reset(seed=0)

    def act() -> None:
        *_, terminated, truncated, _ = env.step(rng.uniform(-0.3, 0.3, 3).astype(np.float32))
        if terminated or truncated:
            env.reset()

    return act


def main() -> None:
    figures: dict[str, float] = {}
    with Twin() as twin:
        twin.reset(0)
        figures["physics_steps_s"] = rate_per_s(physics(twin))
        twin.reset(0)
        figures["physics_and_two_cameras_steps_s"] = rate_per_s(physics_and_pictures(twin))
        figures["reset_s"] = 1.0 / rate_per_s(lambda: twin.reset(1), n=50)
        substeps = twin.config.physics_hz * twin.config.period_s
    figures["gymnasium_steps_s"] = rate_per_s(gymnasium_steps())
    figures["physics_substep_us"] = 1e6 / (figures["physics_steps_s"] * substeps)
    for name, value in figures.items():
        print(f"{name:34s} {value:10.4g}")
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({"figures": figures, "machine": machine(), "versions": versions()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
