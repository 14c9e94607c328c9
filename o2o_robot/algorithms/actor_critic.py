"""The one actor-critic. Every preset differs by AlgoConfig only; the equations are in losses.py."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from o2o_robot import config as settings
from o2o_robot.algorithms import critic_loss, gripper, losses, noise, optimisers, policy_loss
from o2o_robot.algorithms.batch import TensorBatch, moved, to_tensors
from o2o_robot.algorithms.bonus import Bonus, make_bonus
from o2o_robot.algorithms.config import ARCHITECTURE, AlgoConfig, use_bfloat16
from o2o_robot.algorithms.networks import FlowActor, Networks, n_decision
from o2o_robot.data.returns import RewardTransform
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.nets.crop import random_crop
from o2o_robot.types import Array, Batch, ObservationSpec

__all__ = ["ActorCritic", "Metrics", "TensorBatch"]

Metrics = dict[str, Tensor]


class ActorCritic:
    """Networks, their optimisers and the update.

        learner = ActorCritic(calql(), spec, n_action=3, transform=RewardTransform(1.0, -1.0, 0.97), seed=0)
        learner.set_state_statistics(mean, std)
        for _ in range(2000):
            metrics = learner.update(replay.sample(learner.rows_per_update, rng))
        learner.reconfigure(wsrl())                 # same networks and optimisers, other losses

    Metrics are 0-d tensors; reading one waits for it, so read them only when they are logged.
    reduce: called with the gradients before each optimiser step; data-parallel training averages them there.
    anchor_scale: multiplies anchor_weight, for a trust region that is let go by and by.
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
        self.bonus: Bonus | None = make_bonus(config, spec, self.networks.encoder.n_latent, seed=seed, device=device)
        self.reduce: Callable[[list[Tensor]], None] | None = None
        self.anchor_scale = 1.0
        self.optimisers = optimisers.make(self.networks, config)

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
        if not math.isfinite(mean_return):
            return
        networks = self.networks
        with torch.no_grad():
            for net in (networks.critic, networks.target, networks.value, networks.grasp, networks.grasp_target):
                if net is not None:
                    net.head.bias.fill_(mean_return)

    def reconfigure(self, config: AlgoConfig) -> dict[str, tuple[object, object]]:
        """Go on with other settings, the same networks and optimiser states; gives what changed: name -> (old, new).

        Where anchor_weight becomes positive the policy as it is now becomes the reference. ConfigError where the
        architecture would differ.
        """
        changed = settings.changed(self.config, config)
        for name in ARCHITECTURE:
            if name in changed:
                old, new = changed[name]
                raise ConfigError(f"{name} cannot change from {old} to {new} after pretraining; keep it")
        optimisers.keep_duals(self.networks, self.config, config)
        if config.anchor_weight > 0 and self.networks.reference is None:
            self.networks.remember_policy()
        elif config.anchor_weight == 0:
            self.networks.reference = None
        if "bonus" in changed:
            self.bonus = make_bonus(config, self.spec, self.networks.encoder.n_latent, device=self.device)
        elif self.bonus is not None:
            self.bonus.scale = config.bonus_scale
        self.config = config
        self.networks.encoder.freeze_trunk(config.freeze_trunk)
        optimisers.set_rates(self.optimisers, config)
        return changed

    def update(self, batch: Batch | TensorBatch, chance: noise.UpdateNoise | None = None) -> Metrics:
        """critic_steps critic steps, then one actor and temperature step; batch has `rows_per_update` rows.

        A TensorBatch is one that `batch.staged` made ready ahead of time. `chance` replaces what the learner's own
        generator would have drawn.
        """
        if chance is None:
            chance = self.draw_noise(batch)
        metrics = self.apply(self.tensors(batch), chance)
        self.n_updates += 1
        return metrics

    def draw_noise(self, batch: Batch | TensorBatch) -> noise.UpdateNoise:
        """The noise of an update by this batch."""
        rows = len(batch.action) // self.config.critic_steps
        return noise.draw(self.config, rows, self.n_action, self.generator)

    def apply(self, tensors: TensorBatch, chance: noise.UpdateNoise) -> Metrics:
        """The part of `update` that a device can do by itself: nothing in here is drawn, counted or read."""
        metrics: Metrics = {}
        steps = len(chance.critic)
        rows, left_over = divmod(len(tensors.action), steps)
        if left_over:
            raise DataError(f"a batch of {len(tensors.action)} rows does not divide into {steps} critic steps")
        for k, critic_noise in enumerate(chance.critic):
            part = tensors.rows(k * rows, (k + 1) * rows)
            if self.config.td == "none":
                with self._autocast():
                    z = self.encode(part.images, part.state, critic_noise.crop)
                continue
            z, metrics = self._critic_step(part, critic_noise)
            if self.config.zero_grad_adam and k + 1 < steps:
                self._idle("actor", "temperature")
        if self.config.update_actor:
            metrics |= self._actor_step(z, part, chance)
        return metrics

    def tensors(self, batch: Batch | TensorBatch) -> TensorBatch:
        """The batch on the learner's device: rewards transformed, actions pulled in from the edges of [-1, 1]."""
        if isinstance(batch, TensorBatch):
            return moved(batch, self.device)
        return to_tensors(batch, self.spec, self.transform, self.device)

    def _critic_step(self, batch: TensorBatch, chance: noise.CriticNoise) -> tuple[Tensor, Metrics]:
        """One step of critic and encoder, then of the targets. Gives the batch's latent, detached, for the actor."""
        networks = self.networks
        with self._autocast():
            z, z_next = self.encode_pair(batch, chance)
            loss, metrics = self._critic_loss(batch, z, z_next, chance)
            z = z.detach()
            if self.config.td == "iql":
                value_loss, more = self._value_loss(batch, z)
            if networks.grasp is not None:
                grasp_loss, grasped = gripper.grasp_loss(networks, batch, z, z_next, self.config.grasp_penalty)
        self._step("critic", loss)
        if self.config.td == "iql":
            self._step("value", value_loss)
            metrics |= more
        if networks.grasp is not None:
            self._step("grasp", grasp_loss)
            metrics |= grasped
        self._move_targets()
        if self.bonus is not None:
            metrics |= self.bonus.step(batch, z_next)
        return z, metrics

    def _critic_loss(
        self, batch: TensorBatch, z: Tensor, z_next: Tensor, chance: noise.CriticNoise
    ) -> tuple[Tensor, Metrics]:
        """The loss of critic and encoder; the conservatism's multiplier, where it is learned, makes its step here."""
        found = critic_loss.critic_loss(self.config, self.networks, batch, z, z_next, chance, self.bonus)
        metrics = found.metrics
        if found.multiplier is not None:
            self._step("multiplier", found.multiplier)
            metrics["cql_multiplier"] = losses.positive(self.networks.cql_multiplier.detach(), self.config.dual)
        return found.loss, metrics

    def _value_loss(self, batch: TensorBatch, z: Tensor) -> tuple[Tensor, Metrics]:
        return critic_loss.value_loss(self.config, self.networks, batch, z)

    def _actor_step(self, z: Tensor, batch: TensorBatch, chance: noise.UpdateNoise) -> Metrics:
        """One step of actor and temperature. z carries a gradient only where no critic shapes the encoder (BC)."""
        config, networks = self.config, self.networks
        data, crop = self._continuous(batch.action), chance.critic[-1].crop
        with self._autocast():
            if isinstance(networks.actor, FlowActor):
                loss, metrics = policy_loss.flow(networks, z, data, chance.actor, chance.time)
            else:
                loss, metrics = policy_loss.LOSSES[config.policy_loss](config, networks, z, data, chance.actor)
            if networks.reference is not None and self.anchor_scale > 0:
                with torch.no_grad():
                    cropped = random_crop(batch.images, crop, pad=config.crop_pad)
                    z_reference = networks.reference.encoder(cropped, batch.state)
                distance = policy_loss.anchor(networks, z, z_reference)
                loss = loss + config.anchor_weight * self.anchor_scale * distance
                metrics["anchor_kl"] = distance.detach()
        self._step(("actor", "critic") if config.td == "none" else "actor", loss)
        log_prob = metrics.pop("log_prob", None)
        if log_prob is not None:
            metrics |= self._temperature_step(log_prob)
        return metrics | {"actor_loss": loss.detach()}

    def _temperature_step(self, log_prob: Tensor) -> Metrics:
        raw, config = self.networks.log_temperature, self.config
        dual = raw if config.dual == "exp" else losses.positive(raw, config.dual)
        self._step(
            "temperature",
            losses.temperature_loss(dual, log_prob, config.entropy_target(n_decision(config, self.n_action))),
        )
        return {"entropy": -log_prob.mean(), "temperature": losses.positive(raw.detach(), config.dual)}

    def _step(self, names: str | tuple[str, ...], loss: Tensor) -> None:
        """Step optimisers along the loss's gradient of their own parameters only: no other gradient is computed."""
        chosen = [self.optimisers[name] for name in ((names,) if isinstance(names, str) else names)]
        parameters = [p for o in chosen for p in o.param_groups[0]["params"] if p.requires_grad]
        for optimiser in chosen:
            optimiser.zero_grad(set_to_none=True)
        loss.backward(inputs=parameters)  # and not autograd.grad: fused Adam needs gradients in the weights' layout
        if self.reduce is not None:
            self.reduce([p.grad for p in parameters if p.grad is not None])
        for optimiser in chosen:
            optimiser.step()

    def _idle(self, *names: str) -> None:
        """Step optimisers with gradients of zero: their moments decay, and push the weights on meanwhile."""
        for name in names:
            for parameter in self.optimisers[name].param_groups[0]["params"]:
                parameter.grad = torch.zeros_like(parameter)
            self.optimisers[name].step()

    @torch.no_grad()
    def values(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The critics' minimum at the policy's mean action and at the data's action, (B,) each, without a crop."""
        tensors = self.tensors(batch)
        z = self.networks.encoder(tensors.images, tensors.state)
        tried = torch.stack([self.networks.actor.mode(z), self._continuous(tensors.action)], dim=1)
        q = self.networks.critic(z, tried).amin(dim=0)
        return q[:, 0], q[:, 1]

    def encode(self, images: dict[str, Tensor], state: Tensor, crop: Tensor) -> Tensor:
        """Latents (B, n_latent) of images shifted by crop offsets (B, 2)."""
        latent: Tensor = self.networks.encoder(random_crop(images, crop, pad=self.config.crop_pad), state)
        return latent

    def encode_pair(self, batch: TensorBatch, chance: noise.CriticNoise) -> tuple[Tensor, Tensor]:
        """Latents of the observations, and without gradient of the next ones."""
        images = random_crop(batch.images, chance.crop, pad=self.config.crop_pad)
        next_images = random_crop(batch.next_images, chance.next_crop, pad=self.config.crop_pad)
        return self.networks.encoder.pair(images, next_images, batch.state, batch.next_state)

    def _continuous(self, action: Tensor) -> Tensor:
        return critic_loss.decision(self.config, action)

    def _move_targets(self) -> None:
        """Polyak: target += tau (critic - target), after every critic step."""
        networks = self.networks
        with torch.no_grad():
            for slow, fast in ((networks.target, networks.critic), (networks.grasp_target, networks.grasp)):
                if slow is not None and fast is not None:
                    target: list[Tensor] = list(slow.parameters())
                    torch._foreach_lerp_(target, list(fast.parameters()), self.config.tau)

    def _autocast(self) -> torch.autocast:
        enabled = use_bfloat16(self.config.precision, self.device)
        return torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=enabled)
