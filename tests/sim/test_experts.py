"""Every task on every arm: the scripted expert does it, chance does not. benchmarks/tasks.py counts 200 starts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("o2o_sim.engine", reason="needs mujoco")
pytest.importorskip("gymnasium")
from o2o_sim.config import TwinConfig
from o2o_sim.envs import make_env
from o2o_sim.registration import IDS

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from tasks import expert_rate, random_rate

N_STARTS = 12


@pytest.mark.parametrize("env_id", list(IDS))
def test_the_expert_does_it_from_every_start(env_id: str) -> None:
    env = make_env(config=TwinConfig(cameras=()), **IDS[env_id])
    assert expert_rate(env, IDS[env_id]["task"], N_STARTS) == 1.0


@pytest.mark.parametrize("env_id", ["o2o/Lift-v0", "o2o/Peg-v0", "o2o/LiftUR5e-v0", "o2o/PegUR5e-v0"])
def test_chance_hardly_ever_does_it(env_id: str) -> None:
    env = make_env(config=TwinConfig(cameras=()), **IDS[env_id])
    assert random_rate(env, N_STARTS) <= 1 / N_STARTS
