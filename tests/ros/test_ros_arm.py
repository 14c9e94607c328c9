"""The arm contract over topics: RosArm to the twin through every kind of controller, and behind the guard."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")
pytest.importorskip("o2o_sim.engine", reason="needs mujoco")

sys.path.append(str(Path(__file__).parents[1] / "contracts"))
pytest.register_assert_rewrite("arm_laws")
from arm_bench import Client, LockstepArm, twin_process  # noqa: E402
from arm_laws import *  # noqa: E402, F403
from arm_laws import Bench  # noqa: E402

from o2o_nodes.arm_topics import CONTROLLERS  # noqa: E402
from o2o_nodes.ros_arm import RosArm  # noqa: E402
from o2o_robot.safety.guard_config import build_guard  # noqa: E402
from o2o_robot.safety.guard_config import twin as twin_preset  # noqa: E402
from o2o_robot.safety.guarded_arm import GuardedArm  # noqa: E402
from o2o_robot.supervise import Supervisor  # noqa: E402

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def client(module_domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """In lockstep, at 20 Hz."""
    twin = twin_process(lockstep=True, control_hz=20.0)
    run_dir = tmp_path_factory.mktemp("lockstep")
    with Supervisor([twin], run_dir), Client(module_domain, lockstep=True) as client:
        yield client


@pytest.fixture(scope="module", params=[*CONTROLLERS, "guarded"])
def arm(request: pytest.FixtureRequest, client: Client) -> RosArm:
    controller = "cartesian_pose" if request.param == "guarded" else request.param
    assert client.activate(controller) == ""
    wrench = {"external_wrench": "external_wrench"} if request.param == "guarded" else {}
    return client.arm(controller=controller, **wrench)


@pytest.fixture
def bench(request: pytest.FixtureRequest, client: Client, arm: RosArm) -> Bench:
    start_ns = client.reset(seed=0)
    client.until(lambda: arm.stamp_ns >= start_ns, 10.0, "the state after the reset")
    stepping = LockstepArm(client, arm)
    if "guarded" not in request.node.name:
        return Bench(stepping, stepping.wait)
    guarded = GuardedArm(stepping, build_guard(replace(twin_preset(), lockstep=True)))
    guarded.engage()
    return Bench(guarded, stepping.wait)
