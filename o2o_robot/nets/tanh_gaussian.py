"""A Gaussian squashed by tanh: actions in (-1, 1), with densities that stay finite at the edges."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from o2o_robot.nets.mlp import orthogonal_linear

EDGE = 1.0 - 1e-5  # data actions are pulled in to this before atanh (rlpd does the same)


class Gaussian(NamedTuple):
    """The Gaussian before the squashing: mean and log_std, each (..., n_action)."""

    mean: Tensor
    log_std: Tensor


class Sample(NamedTuple):
    """Actions (..., n_action) in (-1, 1) and their log-densities (...)."""

    action: Tensor
    log_prob: Tensor


class GaussianHead(nn.Module):
    """Features (..., n_in) to a Gaussian whose spread depends on the state; log_std lies in [log_std_min, log_std_max].

    The bound on log_std is a scaled tanh and not a clip, so that its gradient never vanishes altogether.
    """

    def __init__(self, n_in: int, n_action: int, *, log_std_min: float = -5.0, log_std_max: float = 1.0) -> None:
        super().__init__()
        self.mean = orthogonal_linear(n_in, n_action, gain=0.01)
        self.spread = orthogonal_linear(n_in, n_action, gain=0.01)
        self.middle, self.half_range = (log_std_max + log_std_min) / 2, (log_std_max - log_std_min) / 2
        with torch.no_grad():  # start with a standard deviation of exp(-0.5): broad, but not all at the edges
            self.spread.bias.fill_(math.atanh((-0.5 - self.middle) / self.half_range))

    def forward(self, features: Tensor) -> Gaussian:
        log_std = self.middle + self.half_range * torch.tanh(self.spread(features))
        return Gaussian(self.mean(features), log_std)


def sample(gaussian: Gaussian, noise: Tensor) -> Sample:
    """The squashed Gaussian's sample for standard-normal `noise` (..., n_action), and its log-density."""
    u = gaussian.mean + gaussian.log_std.exp() * noise
    normal = -0.5 * noise.square() - gaussian.log_std - 0.5 * math.log(2 * math.pi)
    return Sample(torch.tanh(u), (normal - log_slope(u)).sum(-1))


def log_prob(gaussian: Gaussian, action: Tensor) -> Tensor:
    """Log-density (...) of given actions (..., n_action); those on the edge are pulled in to 1 - 1e-5 first."""
    u = torch.atanh(action.clamp(-EDGE, EDGE))
    noise = (u - gaussian.mean) * (-gaussian.log_std).exp()
    normal = -0.5 * noise.square() - gaussian.log_std - 0.5 * math.log(2 * math.pi)
    return (normal - log_slope(u)).sum(-1)


def log_slope(u: Tensor) -> Tensor:
    """log(1 - tanh(u)^2), written so that it neither overflows nor loses digits for large |u|."""
    return 2.0 * (math.log(2.0) - u - F.softplus(-2.0 * u))
