"""Real processes: every graph in a domain of its own, a tiny checkpoint for those that act or learn."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from graphs import IMAGE_SIZE

from o2o_robot import overlay
from o2o_robot.domain import free_domain
from o2o_robot.errors import GraphError


@pytest.fixture(scope="module", autouse=True)
def _ros_is_there() -> None:
    if importlib.util.find_spec("rclpy") is None:
        pytest.skip("rclpy is not installed; run make setup")
    try:
        overlay.prefix()
    except GraphError as problem:
        pytest.skip(str(problem))


@pytest.fixture(scope="module", autouse=True)
def _few_threads() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def module_domain() -> Iterator[int]:
    yield from _domain()


@pytest.fixture
def domain() -> Iterator[int]:
    """A ROS domain that no other test speaks in; every process started meanwhile is in it."""
    yield from _domain()


def _domain() -> Iterator[int]:
    number = free_domain()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(number))
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        yield number


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained policy with small networks, as a pretraining checkpoint."""
    pytest.importorskip("torch")
    from o2o_robot.algorithms import checkpoint
    from o2o_robot.algorithms.actor_critic import ActorCritic
    from o2o_robot.algorithms.phases import Phase
    from o2o_robot.data.returns import RewardTransform
    from o2o_robot.presets import calql
    from o2o_robot.types import ObservationSpec

    small = {"critic_widths": (32, 32), "actor_widths": (32, 32), "convs": ((8, 4, 4),), "batch_size": 16}
    config = replace(calql(), **small, precision="f32", image_latent=8, state_latent=8)
    spec = ObservationSpec(("wrist", "front"), IMAGE_SIZE, (("tool_position_m", 3),))
    learner = ActorCritic(config, spec, 3, RewardTransform(1.0, -1.0, 0.97), seed=0)
    folder = tmp_path_factory.mktemp("policy") / "checkpoint"
    return checkpoint.save(folder, learner, phase=Phase.PRETRAIN, provenance={})
