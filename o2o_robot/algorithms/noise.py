"""All chance of an update, drawn beforehand as tensors, so that any update can be replayed and compared."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from o2o_robot.algorithms.config import AlgoConfig


class CriticNoise(NamedTuple):
    """One critic step: crop offsets (B, 2), standard normals (B, n, n_action), uniform actions, critic subset (M,)."""

    crop: Tensor
    next_crop: Tensor
    next_policy: Tensor
    policy: Tensor
    uniform: Tensor
    subset: Tensor


class UpdateNoise(NamedTuple):
    """One update: a CriticNoise per critic step, and standard normals (B, n_action) for the actor step."""

    critic: tuple[CriticNoise, ...]
    actor: Tensor


def draw(config: AlgoConfig, batch: int, n_action: int, generator: Generator) -> UpdateNoise:
    """The noise of one update whose every mini-batch has `batch` rows. The generator is the only thing that changes."""
    critic = tuple(_draw_critic(config, batch, n_action, generator) for _ in range(config.critic_steps))
    return UpdateNoise(critic, torch.randn(batch, n_action, generator=generator))


def _draw_critic(config: AlgoConfig, batch: int, n_action: int, generator: Generator) -> CriticNoise:
    conservative = config.cql_alpha > 0
    n_cql = config.n_sampled_actions if conservative else 0
    n_next = config.n_sampled_actions if conservative or config.max_target_backup else 1
    return CriticNoise(
        crop=_offsets(config, batch, generator),
        next_crop=_offsets(config, batch, generator),
        next_policy=torch.randn(batch, n_next, n_action, generator=generator),
        policy=torch.randn(batch, n_cql, n_action, generator=generator),
        uniform=torch.rand(batch, n_cql, n_action, generator=generator) * 2 - 1,
        subset=torch.randperm(config.n_critics, generator=generator)[: config.n_min],
    )


def _offsets(config: AlgoConfig, batch: int, generator: Generator) -> Tensor:
    return torch.randint(0, 2 * config.crop_pad + 1, (batch, 2), generator=generator)
