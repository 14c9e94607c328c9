"""gym-hil's Panda with two 128x128 cameras: steps per second, run by twin.py in gym-hil's own environment.

    .venv-gymhil/bin/python benchmarks/peers/gymhil_panda.py --steps 12

Reads lines from its input; for each it takes so many steps and prints one line of JSON, so that the two sides can take
turns. 10 Hz control over 2 ms physics, as gym-hil configures it; only its public API is called.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

os.environ.setdefault("MUJOCO_GL", "egl")

import gym_hil  # noqa: F401  registers its environments
import gymnasium
import numpy as np

ENV_ID = "gym_hil/PandaPickCubeBase-v0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=12)
    n = parser.parse_args().steps
    env = gymnasium.make(ENV_ID, image_obs=True, disable_env_checker=True)
    seen, _ = env.reset(seed=0)
    rng = np.random.default_rng(0)
    sizes = {name: list(image.shape) for name, image in seen["pixels"].items()}
    for _ in sys.stdin:
        start_s = time.perf_counter()
        for _ in range(n):
            *_, terminated, truncated, _ = env.step(rng.uniform(-0.3, 0.3, env.action_space.shape).astype(np.float32))
            if terminated or truncated:
                env.reset()
        print(json.dumps({"steps_s": n / (time.perf_counter() - start_s), "images": sizes}), flush=True)
    env.close()


if __name__ == "__main__":
    main()
