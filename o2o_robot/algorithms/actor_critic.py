"""The one actor-critic. SAC, CQL, Cal-QL and WSRL differ by AlgoConfig only; the equations are in losses.py."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from o2o_robot import config as settings
from o2o_robot.algorithms import losses, noise
from o2o_robot.algorithms.config import ARCHITECTURE, AlgoConfig, use_bfloat16
from o2o_robot.algorithms.networks import Networks
from o2o_robot.data.returns import RewardTransform
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.nets.encoder import random_crop
from o2o_robot.nets.tanh_gaussian import EDGE, Gaussian, Sample, sample
from o2o_robot.types import Array, Batch, ObservationSpec

Metrics = dict[str, Tensor]


class TensorBatch(NamedTuple):
    """A Batch as tensors, its reward already transformed. Images stay uint8 (B, H, W, 3)."""

    images: dict[str, Tensor]
    next_images: dict[str, Tensor]
    state: Tensor
    next_state: Tensor
    action: Tensor
    reward: Tensor
    terminated: Tensor
    mc_return: Tensor

    def rows(self, start: int, stop: int) -> TensorBatch:
        """Rows start..stop of everything, as views."""
        images = {name: image[start:stop] for name, image in self.images.items()}
        next_images = {name: image[start:stop] for name, image in self.next_images.items()}
        return TensorBatch(images, next_images, *(part[start:stop] for part in self[2:]))


class ActorCritic:
    """Networks, their optimisers and the update.

        learner = ActorCritic(calql(), spec, n_action=3, transform=RewardTransform(1.0, -1.0, 0.97), seed=0)
        learner.set_state_statistics(mean, std)
        for _ in range(2000):
            metrics = learner.update(replay.sample(learner.rows_per_update, rng))
        learner.reconfigure(wsrl())                 # same networks and optimisers, other losses

    Metrics are 0-d tensors; reading one waits for it, so read them only when they are logged.
    """

    def __init__(
        self,
        config: AlgoConfig,
        spec: ObservationSpec,
        n_action: int,
        transform: RewardTransform,
        *,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        if not spec.cameras and not spec.proprio:
            raise ConfigError("the observation spec has neither cameras nor proprioception; choose at least one")
        self.config, self.spec, self.n_action, self.transform = config, spec, n_action, transform
        self.device = device
        self.n_updates = 0
        self.generator = torch.Generator().manual_seed(seed)
        self.networks = Networks(config, spec, n_action, seed=seed).to(device)
        self._make_optimisers()

    @property
    def rows_per_update(self) -> int:
        """Rows of the batch that `update` wants: batch_size for each of its critic steps."""
        return self.config.batch_size * self.config.critic_steps

    def set_state_statistics(self, mean: Array, std: Array) -> None:
        """Standardise proprioception (n_state,) by these; once, before the first update."""
        if self.networks.encoder.state is not None:
            self.networks.encoder.state.set_statistics(
                torch.as_tensor(mean, dtype=torch.float32), torch.as_tensor(std, dtype=torch.float32)
            )

    def centre_values(self, mean_return: float) -> None:
        """Let all critics start at the data's mean return instead of zero; once, before the first update.

        With step rewards of -1 a critic that starts at zero first spends some 1 / tau updates falling to where its
        values belong, and every action it has not seen looks good meanwhile.
        """
        if math.isfinite(mean_return):
            with torch.no_grad():
                self.networks.critic.head.bias.fill_(mean_return)
                self.networks.target.head.bias.fill_(mean_return)

    def reconfigure(self, config: AlgoConfig) -> dict[str, tuple[object, object]]:
        """Go on with other settings, the same networks and optimiser states; gives what changed: name -> (old, new).

        ConfigError where the architecture would differ.
        """
        changed = settings.changed(self.config, config)
        for name in ARCHITECTURE:
            if name in changed:
                old, new = changed[name]
                raise ConfigError(f"{name} cannot change from {old} to {new} after pretraining; keep it")
        self.config = config
        for optimiser, lr in zip(self.optimisers.values(), self._learning_rates(), strict=True):
            optimiser.param_groups[0]["lr"] = lr
        return changed

    def update(self, batch: Batch, chance: noise.UpdateNoise | None = None) -> Metrics:
        """critic_steps critic steps, then one actor and temperature step; batch has `rows_per_update` rows.

        `chance` replaces what the learner's own generator would have drawn.
        """
        steps = self.config.critic_steps
        if len(batch.action) % steps:
            raise DataError(f"a batch of {len(batch.action)} rows does not divide into {steps} critic steps")
        rows = len(batch.action) // steps
        if chance is None:
            chance = noise.draw(self.config, rows, self.n_action, self.generator)
        tensors = self.tensors(batch)
        for k, critic_noise in enumerate(chance.critic):
            z, metrics = self._critic_step(tensors.rows(k * rows, (k + 1) * rows), critic_noise)
        metrics |= self._actor_step(z, chance.actor)
        self.n_updates += 1
        return metrics

    def tensors(self, batch: Batch) -> TensorBatch:
        """The batch on the learner's device: rewards transformed, actions pulled in from the edges of [-1, 1]."""

        def tensor(array: Array) -> Tensor:
            return torch.from_numpy(array).to(self.device, non_blocking=True)

        return TensorBatch(
            {name: tensor(batch.images[name]) for name in self.spec.cameras},
            {name: tensor(batch.next_images[name]) for name in self.spec.cameras},
            tensor(batch.state),
            tensor(batch.next_state),
            tensor(batch.action).clamp(-EDGE, EDGE),
            tensor(self.transform.apply(batch.reward)),
            tensor(batch.terminated),
            tensor(batch.mc_return),
        )

    def _critic_step(self, batch: TensorBatch, chance: noise.CriticNoise) -> tuple[Tensor, Metrics]:
        """One step of critic and encoder, then of the target. Gives the batch's latent, detached, for the actor."""
        with self._autocast():
            z = self.encode(batch.images, batch.state, chance.crop)
            with torch.no_grad():
                z_next = self.encode(batch.next_images, batch.next_state, chance.next_crop)
                next_action = self.sample_actions(z_next, chance.next_policy)
                target = self._target(batch, z_next, next_action, chance.subset)
            if self.config.cql_alpha > 0:
                loss, metrics = self._conservative_loss(batch, z, next_action, target, chance)
            else:
                loss, metrics = self._td_loss(batch, z, target)
        self.optimisers["critic"].zero_grad(set_to_none=True)
        loss.backward()
        self.optimisers["critic"].step()
        self._move_target()
        return z.detach(), metrics | {"critic_loss": loss.detach(), "target": target.mean()}

    def _target(self, batch: TensorBatch, z_next: Tensor, action: Sample, subset: Tensor) -> Tensor:
        """The TD target (B,). Without max-target backup only the first of the sampled actions counts."""
        n = action.action.shape[1] if self.config.max_target_backup else 1
        q = self.networks.target(z_next, action.action[:, :n])
        value = losses.best_next(q, subset.to(q.device))
        if self.config.backup_entropy:
            value = value - self.networks.log_temperature.exp() * action.log_prob[:, 0]
        return losses.td_target(batch.reward, batch.terminated, value, self.transform.discount)

    def _td_loss(self, batch: TensorBatch, z: Tensor, target: Tensor) -> tuple[Tensor, Metrics]:
        q = self.networks.critic(z, batch.action.unsqueeze(1)).squeeze(2)
        loss = losses.td_loss(q, target)
        return loss, {"td_loss": loss.detach(), "q_data": q.detach().mean()}

    def _conservative_loss(
        self, batch: TensorBatch, z: Tensor, next_action: Sample, target: Tensor, chance: noise.CriticNoise
    ) -> tuple[Tensor, Metrics]:
        """TD loss plus cql_alpha times the (calibrated) gap; the data's and all sampled actions in one forward pass."""
        with torch.no_grad():
            action = self.sample_actions(z.detach(), chance.policy)
        uniform = chance.uniform.to(z.device)
        tried = torch.cat([batch.action.unsqueeze(1), uniform, action.action, next_action.action], dim=1)
        q = self.networks.critic(z, tried)
        q_data = q[:, :, 0]
        values = losses.Values(
            *q[:, :, 1:].split([uniform.shape[1], action.action.shape[1], next_action.action.shape[1]], 2)
        )
        flat = uniform.new_full(uniform.shape[:2], -self.n_action * math.log(2.0))  # density 1/2 per dimension
        densities = losses.LogDensities(flat, action.log_prob, next_action.log_prob)
        floor = batch.mc_return if self.config.calibrate else torch.full_like(batch.mc_return, -torch.inf)
        gap = losses.calibrated_gap(values, densities, q_data, floor, self.config.cql_temperature).mean()
        td = losses.td_loss(q_data, target)
        metrics = {"td_loss": td.detach(), "cql_gap": gap.detach(), "q_data": q_data.detach().mean()}
        for name, value in zip(values._fields, values, strict=True):
            metrics[f"bound_rate/{name}"] = losses.bound_rate(value.detach(), batch.mc_return)
        return td + self.config.cql_alpha * gap, metrics

    def _actor_step(self, z: Tensor, chance: Tensor) -> Metrics:
        """One step of actor and temperature at latents z without gradient: only the critic shapes the encoder."""
        log_temperature = self.networks.log_temperature
        with self._autocast():
            action = self.sample_actions(z, chance.unsqueeze(1))
            q = self.networks.critic(z, action.action)[:, :, 0]
            q = q.mean(dim=0) if self.config.actor_q == "mean" else q.amin(dim=0)
            log_prob = action.log_prob[:, 0]
            loss = losses.actor_loss(log_prob, q, log_temperature.exp().detach())
            entropy_target = self.config.entropy_target(self.n_action)
            temperature_loss = losses.temperature_loss(log_temperature, log_prob.detach(), entropy_target)
        self._step("actor", loss)  # gradients of the actor alone: the critic's are never computed
        self._step("temperature", temperature_loss)
        return {
            "actor_loss": loss.detach(),
            "entropy": -log_prob.detach().mean(),
            "temperature": log_temperature.detach().exp(),
        }

    def _step(self, name: str, loss: Tensor) -> None:
        """Step one optimiser along the gradient of its own parameters only."""
        optimiser = self.optimisers[name]
        parameters = optimiser.param_groups[0]["params"]
        optimiser.zero_grad(set_to_none=True)
        loss.backward(inputs=parameters)  # and not autograd.grad: fused Adam needs gradients in the weights' layout
        optimiser.step()

    @torch.no_grad()
    def values(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The critics' minimum at the policy's mean action and at the data's action, (B,) each, without a crop."""
        tensors = self.tensors(batch)
        z = self.networks.encoder(tensors.images, tensors.state)
        mean = torch.tanh(self.networks.actor(z).mean)
        q = self.networks.critic(z, torch.stack([mean, tensors.action], dim=1)).amin(dim=0)
        return q[:, 0], q[:, 1]

    def encode(self, images: dict[str, Tensor], state: Tensor, crop: Tensor) -> Tensor:
        """Latents (B, n_latent) of images shifted by crop offsets (B, 2)."""
        latent: Tensor = self.networks.encoder(random_crop(images, crop, pad=self.config.crop_pad), state)
        return latent

    def sample_actions(self, z: Tensor, chance: Tensor) -> Sample:
        """One action per standard normal in chance (B, n, n_action): actions (B, n, n_action), log-densities (B, n)."""
        gaussian = self.networks.actor(z)
        return sample(Gaussian(gaussian.mean.unsqueeze(1), gaussian.log_std.unsqueeze(1)), chance.to(z.device))

    def _move_target(self) -> None:
        """Polyak: target += tau (critic - target), after every critic step."""
        with torch.no_grad():
            target: list[Tensor] = list(self.networks.target.parameters())
            critic: list[Tensor] = list(self.networks.critic.parameters())
            torch._foreach_lerp_(target, critic, self.config.tau)

    def _make_optimisers(self) -> None:
        networks, (critic_lr, actor_lr, temperature_lr) = self.networks, self._learning_rates()
        critic = [*networks.encoder.parameters(), *networks.critic.parameters()]
        self.optimisers = {
            "critic": torch.optim.Adam(critic, lr=critic_lr, fused=True),
            "actor": torch.optim.Adam(networks.actor.parameters(), lr=actor_lr, fused=True),
            "temperature": torch.optim.Adam([networks.log_temperature], lr=temperature_lr, fused=True),
        }

    def _learning_rates(self) -> tuple[float, float, float]:
        return self.config.critic_lr, self.config.actor_lr, self.config.temperature_lr

    def _autocast(self) -> torch.autocast:
        enabled = use_bfloat16(self.config.precision, self.device)
        return torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=enabled)
