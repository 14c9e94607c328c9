"""What a session can ask of a policy beside its actions."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")

from o2o_nodes.policy_actor import PolicyActor
from o2o_nodes.sight import Look
from o2o_robot.policy import Policy
from o2o_robot.types import Mode, Observation


@pytest.fixture
def policy(checkpoint) -> Policy:
    return Policy.load(checkpoint)


def look_of(policy: Policy) -> Look:
    rng, spec = np.random.default_rng(0), policy.spec
    images = {name: rng.integers(0, 255, (spec.image_size, spec.image_size, 3), np.uint8) for name in spec.cameras}
    return Look(Observation(0, images, {name: np.zeros(n, np.float32) for name, n in spec.proprio}), None, None)


def test_q_is_the_critic_s_of_the_last_look_and_action_until_newer_weights_act(policy):
    actor = PolicyActor(policy, seed=0)
    actor.begin(Mode.EVAL, 0)
    assert math.isnan(actor.q()), "nothing was seen yet"
    look = look_of(policy)
    action = actor.act(look)
    assert actor.q() == policy.q_value(look.observation, action)
    policy.revision += 1
    assert math.isnan(actor.q())
