"""One contract, every arm: a fake, a simulated one, the guard around either. Over topics: tests/ros/test_ros_arm.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from o2o_robot.robot.fake import FakeArm
from o2o_robot.safety.guard_config import build_guard
from o2o_robot.safety.guard_config import twin as twin_preset
from o2o_robot.safety.guarded_arm import GuardedArm

pytest.register_assert_rewrite("arm_laws")
from arm_laws import *  # noqa: E402, F403
from arm_laws import Bench  # noqa: E402


def fake_bench() -> Bench:
    now_ns = [0]

    def wait(duration_s: float) -> None:
        now_ns[0] += round(duration_s * 1e9)

    return Bench(FakeArm(clock=lambda: now_ns[0]), wait)


def twin_bench() -> Bench:
    pytest.importorskip("o2o_sim.engine", reason="needs mujoco")
    from o2o_sim.arm import MujocoArm
    from o2o_sim.twin import Twin

    twin = Twin()
    return Bench(MujocoArm(twin), twin.advance)


def guarded(bench: Bench) -> Bench:
    arm = GuardedArm(bench.arm, build_guard(replace(twin_preset(), lockstep=True)))
    arm.engage()
    return Bench(arm, bench.wait)


MAKERS = {
    "fake": fake_bench,
    "twin": twin_bench,
    "guarded fake": lambda: guarded(fake_bench()),
    "guarded twin": lambda: guarded(twin_bench()),
}


@pytest.fixture(params=list(MAKERS))
def bench(request: pytest.FixtureRequest) -> Bench:
    return MAKERS[request.param]()
