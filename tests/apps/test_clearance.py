"""The peg task's clearance: one usual one, and the demo's own."""

from __future__ import annotations

from contextlib import closing
from inspect import signature
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("o2o_sim.engine", reason="needs mujoco")

from o2o_robot.apps import replay
from o2o_robot.apps.demo import Demo, collect, evaluate, finetune
from o2o_robot.apps.rollouts import TwinTask
from o2o_robot.graph import Evaluate, Up
from o2o_sim.config import PegConfig
from o2o_sim.envs import make_env
from o2o_sim.registration import IDS
from o2o_sim.twin import Twin


def test_it_is_2_mm_unless_told_wherever_there_is_a_default():
    assert PegConfig().clearance_m == 0.002
    assert Up().clearance_m == Evaluate().clearance_m == TwinTask().clearance_m == PegConfig().clearance_m
    assert signature(replay.main).parameters["clearance_m"].default == PegConfig().clearance_m


def test_the_demo_asks_for_10_mm_in_every_graph_that_it_brings_up():
    of_demo = (collect(Demo(), Path()), evaluate(Demo(), Path(), Path()), finetune(Demo(), Path()))
    assert {up.clearance_m for up in of_demo} == {0.010}


@pytest.mark.parametrize(("env_id", "clearance_m"), [("o2o/Peg-v0", 0.002), ("o2o/LoosePeg-v0", 0.010)])
def test_an_id_makes_the_clearance_that_its_name_says(env_id: str, clearance_m: float):
    made: list[Twin] = []

    def scene(twin: Twin, seed: int) -> None:
        made.append(twin)
        twin.reset(seed)

    with closing(make_env(**IDS[env_id], set_scene=scene)) as env:
        env.reset(seed=0)
    assert {twin.config.peg.clearance_m for twin in made} == {clearance_m}
