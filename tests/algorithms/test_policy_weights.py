import numpy as np
import pytest
import safetensors.torch
import torch
from learners import SPEC, batch, learner, observation, small

from o2o_robot.errors import CheckpointError, DataError
from o2o_robot.policy import Policy, weights_bytes


def _policy() -> Policy:
    policy = Policy(small(), SPEC, 3)
    policy.set_weights(weights_bytes(learner().networks), revision=1)
    return policy


def test_a_policy_given_the_learners_weights_acts_as_the_learner_does() -> None:
    subject, policy = learner(), Policy(small(), SPEC, 3)
    subject.update(batch())
    policy.set_weights(weights_bytes(subject.networks), revision=7)
    seen = observation()
    images = {name: torch.from_numpy(image)[None] for name, image in seen.images.items()}
    with torch.no_grad():
        z = subject.networks.encoder(images, torch.from_numpy(seen.state["tool_position_m"])[None])
        expected = torch.tanh(subject.networks.actor(z).mean)[0].numpy()
    np.testing.assert_array_equal(policy.act(seen), expected)
    assert policy.revision == 7


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_and_the_old_ones_stay(poison: float) -> None:
    policy = _policy()
    before = policy.act(observation())
    weights = safetensors.torch.load(policy.weights_bytes())
    weights["actor.head.mean.bias"] = torch.full_like(weights["actor.head.mean.bias"], poison)
    with pytest.raises(CheckpointError, match=r"actor\.head\.mean\.bias"):
        policy.set_weights(safetensors.torch.save(weights), revision=2)
    assert policy.revision == 1
    assert np.array_equal(policy.act(observation()), before)


def test_bytes_that_are_no_weights_are_refused() -> None:
    with pytest.raises(CheckpointError, match="of revision 2"):
        _policy().set_weights(b"\x80\x04nonsense", revision=2)


def test_an_observation_that_does_not_fit_is_refused_by_name() -> None:
    policy, seen = _policy(), observation()
    with pytest.raises(DataError, match="lacks camera 'front'"):
        policy.act(type(seen)(0, {"wrist": seen.images["wrist"]}, seen.state))
    with pytest.raises(DataError, match=r"camera 'wrist' gave uint8 \(8, 8, 3\)"):
        policy.act(type(seen)(0, dict(seen.images) | {"wrist": np.zeros((8, 8, 3), np.uint8)}, seen.state))
    with pytest.raises(DataError, match="'tool_position_m' of size 3"):
        policy.act(type(seen)(0, seen.images, {}))
    with pytest.raises(DataError, match="non-finite"):
        policy.act(type(seen)(0, seen.images, {"tool_position_m": np.array([0, np.nan, 0], np.float32)}))
