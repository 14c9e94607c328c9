from dataclasses import replace

import numpy as np
import pytest
import torch
from learners import SPEC, TRANSFORM, batch, learner, small

from o2o_robot.algorithms import noise, td
from o2o_robot.algorithms.batch import staged
from o2o_robot.data.returns import RewardTransform
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.presets import rlpd, sac, wsrl


def _weights(module: torch.nn.Module) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in module.state_dict().values()]


def _same(before: list[torch.Tensor], module: torch.nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(before, module.state_dict().values(), strict=True))


def test_each_frame_is_encoded_exactly_once_in_an_update() -> None:
    subject, frames = learner(), []
    for camera in subject.networks.encoder.cameras:
        camera.register_forward_hook(lambda _, inputs, __: frames.append(len(inputs[0])))
    subject.update(batch(16))
    assert sum(frames) == 2 * 2 * 16, "two cameras, observation and next observation of 16 rows"


def test_high_utd_encodes_each_frame_once_and_moves_the_actor_once() -> None:
    subject, frames = learner(small(critic_steps=4)), []
    subject.networks.encoder.cameras[0].register_forward_hook(lambda _, inputs, __: frames.append(len(inputs[0])))
    subject.update(batch(64))
    assert sum(frames) == 2 * 64
    steps = {
        name: optimiser.state_dict()["state"][0]["step"].item()
        for name, optimiser in subject.optimisers.items()
        if optimiser.state
    }
    assert steps == {"critic": 4, "actor": 1, "temperature": 1}


def test_a_critic_step_leaves_actor_and_temperature_bit_identical() -> None:
    subject = learner()
    subject.update(batch())  # so that Adam has moments which a step of zero gradients would follow
    actor, temperature = _weights(subject.networks.actor), subject.networks.log_temperature.clone()
    chance = noise.draw(subject.config, 16, 3, torch.Generator().manual_seed(0))
    subject._critic_step(subject.tensors(batch()), chance.critic[0])
    assert _same(actor, subject.networks.actor)
    assert torch.equal(temperature, subject.networks.log_temperature)


def test_an_actor_step_moves_neither_critic_nor_encoder() -> None:
    subject = learner()
    critic, encoder = _weights(subject.networks.critic), _weights(subject.networks.encoder)
    actor = _weights(subject.networks.actor)
    chance = noise.draw(subject.config, 16, 3, torch.Generator().manual_seed(0))
    subject._actor_step(torch.randn(16, subject.networks.encoder.n_latent), subject.tensors(batch()), chance)
    assert _same(critic, subject.networks.critic)
    assert _same(encoder, subject.networks.encoder)
    assert not _same(actor, subject.networks.actor)


def test_the_target_follows_the_critic_by_tau_after_every_critic_step() -> None:
    subject = learner(small(tau=0.25))
    old = subject.networks.target.hidden[0].weight.clone()
    subject.update(batch())
    new = subject.networks.critic.hidden[0].weight
    torch.testing.assert_close(subject.networks.target.hidden[0].weight, old + 0.25 * (new - old))


def test_an_update_is_a_function_of_weights_batch_and_noise_alone() -> None:
    first, second = learner(), learner()
    second.generator.manual_seed(999)  # not used: the noise is given
    chance = noise.draw(first.config, 16, 3, torch.Generator().manual_seed(5))
    for subject in (first, second):
        torch.manual_seed(subject.generator.initial_seed())
        subject.update(batch(), chance)
    assert _same(_weights(first.networks), second.networks)


def test_learners_of_one_seed_agree_and_of_two_seeds_do_not() -> None:
    subjects = [learner(seed=seed) for seed in (3, 3, 4)]
    for subject in subjects:
        subject.update(batch())
    assert _same(_weights(subjects[0].networks), subjects[1].networks)
    assert not _same(_weights(subjects[0].networks), subjects[2].networks)


def test_calibration_without_known_returns_is_plain_cql() -> None:
    unknown = replace(batch(), mc_return=np.full(16, -np.inf, np.float32))
    calibrated, plain = learner(), learner(small(calibrate=False))
    for subject in (calibrated, plain):
        subject.update(unknown)
    assert _same(_weights(calibrated.networks), plain.networks)


def test_the_td_target_uses_the_transform_that_made_the_returns() -> None:
    halved = learner()
    halved.transform = RewardTransform(0.5, -0.5, 0.97)
    rows = batch()
    torch.testing.assert_close(halved.tensors(rows).reward, 0.5 * learner().tensors(rows).reward)


def test_a_time_out_is_no_terminal_in_the_target_of_an_update() -> None:
    subject = learner(small(wsrl()))
    chance = noise.draw(subject.config, 16, 3, torch.Generator().manual_seed(0))
    cut = replace(batch(), terminated=np.zeros(16, bool), reward=np.zeros(16, np.float32))
    subject.centre_values(-20.0)
    with torch.no_grad():
        rows = subject.tensors(cut)
        z = subject.networks.encoder(rows.next_images, rows.next_state)
        action = subject.networks.actor.sample(z, chance.critic[0].next_policy)
        target = td.soft_target(subject.config, subject.networks, rows, z, action, chance.critic[0].subset)
    assert (target < -15).all(), "a transition that is not terminated carries its future"


def test_the_bound_is_not_active_everywhere_on_honest_returns() -> None:
    subject = learner()
    subject.centre_values(-16.0)
    for k in range(40):
        metrics = subject.update(batch(seed=k))
    assert 0.05 < float(metrics["bound_rate/policy"]) < 0.95


def test_going_online_changes_the_critic_and_never_entropy_or_temperature() -> None:
    subject = learner()
    for k in range(3):
        subject.update(batch(seed=k))
    before = _weights(subject.networks)
    changed = subject.reconfigure(small(wsrl()))
    assert set(changed) == {"cql_alpha", "calibrate", "max_target_backup", "critic_lr", "tau"}
    assert _same(before, subject.networks), "the temperature too goes through untouched"
    assert small(wsrl()).entropy_target(3) == small().entropy_target(3)


def test_architecture_cannot_change_between_phases() -> None:
    with pytest.raises(ConfigError, match="n_critics cannot change from 2 to 10"):
        learner().reconfigure(small(n_critics=10))


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(DataError, match="does not divide into 4"):
        learner(small(critic_steps=4)).update(batch(18))


@pytest.mark.parametrize(
    "config", [sac(), wsrl(), replace(rlpd(), critic_steps=2), replace(sac(), backup_entropy=True)]
)
def test_every_preset_updates_with_finite_numbers(config) -> None:  # type: ignore[no-untyped-def]
    subject = learner(small(config))
    metrics = subject.update(batch(subject.rows_per_update))
    assert all(torch.isfinite(value) for value in metrics.values())


def test_bfloat16_updates_point_where_float32_ones_do() -> None:
    subjects = [learner(replace(small(), precision=precision)) for precision in ("f32", "bf16")]
    chance = noise.draw(small(), 16, 3, torch.Generator().manual_seed(0))
    losses = [float(subject.update(batch(), chance)["critic_loss"]) for subject in subjects]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert subjects[1].networks.critic.head.weight.dtype is torch.float32


def test_the_fused_optimiser_steps_as_plain_adam_does() -> None:
    fused, plain = learner(), learner()
    for name, optimiser in plain.optimisers.items():
        group = optimiser.param_groups[0]
        plain.optimisers[name] = torch.optim.Adam(group["params"], lr=group["lr"], fused=False, foreach=False)
    for k in range(3):
        fused.update(batch(seed=k))
        plain.update(batch(seed=k))
    for name, tensor in fused.networks.state_dict().items():
        torch.testing.assert_close(tensor, plain.networks.state_dict()[name], rtol=1e-3, atol=2e-5, msg=name)


def test_noise_of_one_generator_state_is_one_noise() -> None:
    draws = [noise.draw(small(), 8, 3, torch.Generator().manual_seed(7)) for _ in range(2)]
    for a, b in zip(draws[0].critic[0], draws[1].critic[0], strict=True):
        assert torch.equal(a, b)


def test_the_critic_subset_is_drawn_without_replacement() -> None:
    config, generator = small(n_critics=5, n_min=3), torch.Generator().manual_seed(0)
    for _ in range(50):
        subset = noise.draw(config, 2, 3, generator).critic[0].subset
        assert len(set(subset.tolist())) == 3


def test_a_spec_without_anything_to_see_is_refused() -> None:
    from o2o_robot.algorithms.actor_critic import ActorCritic

    with pytest.raises(ConfigError, match="neither cameras nor proprioception"):
        ActorCritic(small(), replace(SPEC, cameras=(), proprio=()), 3, TRANSFORM)


def test_a_batch_made_ready_ahead_of_time_makes_the_same_update() -> None:
    one, two = learner(), learner()
    one.update(batch())
    two.update(staged(batch(), SPEC, TRANSFORM))
    for name, weight in one.networks.state_dict().items():
        assert torch.equal(weight, two.networks.state_dict()[name]), name


def test_actions_at_the_edge_are_pulled_in_so_that_their_density_is_finite() -> None:
    rows = batch()
    at_the_edge = replace(rows, action=np.sign(rows.action))
    assert 0.999 < learner().tensors(at_the_edge).action.abs().max() < 1.0
