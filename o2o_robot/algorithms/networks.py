"""The networks of the actor-critic, built from settings alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from o2o_robot.algorithms.config import AlgoConfig
from o2o_robot.nets.encoder import ObservationEncoder
from o2o_robot.nets.ensemble import EnsembleQ
from o2o_robot.nets.mlp import MLP
from o2o_robot.nets.tanh_gaussian import Gaussian, GaussianHead
from o2o_robot.types import ObservationSpec


class Actor(nn.Module):
    """Latents (..., n_latent) to a squashed Gaussian over actions (..., n_action)."""

    def __init__(self, config: AlgoConfig, n_latent: int, n_action: int) -> None:
        super().__init__()
        self.trunk = MLP(n_latent, config.actor_widths, layer_norm=config.actor_layer_norm)
        self.head = GaussianHead(self.trunk.n_out, n_action)

    def forward(self, z: Tensor) -> Gaussian:
        gaussian: Gaussian = self.head(self.trunk(z).float())
        return gaussian


def build_encoder(config: AlgoConfig, spec: ObservationSpec) -> ObservationEncoder:
    return ObservationEncoder(spec, config.convs, image_latent=config.image_latent, state_latent=config.state_latent)


def build_critic(config: AlgoConfig, n_latent: int, n_action: int) -> EnsembleQ:
    return EnsembleQ(config.n_critics, n_latent, n_action, config.critic_widths, layer_norm=config.critic_layer_norm)


class Networks(nn.Module):
    """encoder, actor, critic, its slowly following target, and the log of the entropy temperature.

    The target has its own heads and shares the encoder (as DrQ-v2 does), so that each frame is encoded once.
    """

    def __init__(self, config: AlgoConfig, spec: ObservationSpec, n_action: int, *, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = build_encoder(config, spec)
            self.actor = Actor(config, self.encoder.n_latent, n_action)
            self.critic = build_critic(config, self.encoder.n_latent, n_action)
            self.target = build_critic(config, self.encoder.n_latent, n_action)
        self.target.load_state_dict(self.critic.state_dict())
        self.target.requires_grad_(False)
        self.log_temperature = nn.Parameter(torch.tensor(config.initial_temperature).log())
