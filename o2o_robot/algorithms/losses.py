"""The equations, as functions of tensors: nothing here samples, logs or steps an optimiser.

E critics, B states, K actions per state. Values are in units of the transformed reward. None of these stops a
gradient by itself, except where the line says so.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Values(NamedTuple):
    """Values of sampled actions, (E, B, n) for each kind of sampling: uniform, from pi(.|s), from pi(.|s') at s."""

    uniform: Tensor
    policy: Tensor
    next_policy: Tensor


class LogDensities(NamedTuple):
    """Log-density (B, n) under which each kind of action was sampled."""

    uniform: Tensor
    policy: Tensor
    next_policy: Tensor


def subset_min(q: Tensor, subset: Tensor) -> Tensor:
    """Minimum over a subset (M,) of the critics of q (E, ...). REDQ eq. 2 (Chen et al. 2021), without replacement."""
    return q.index_select(0, subset).amin(dim=0)


def best_next(q: Tensor, subset: Tensor) -> Tensor:
    """CQL's max backup: the subset's minimum for each action of q (E, B, n), then the best action: (B,).

    Kumar et al. 2020, appendix F. With n = 1 it is the ordinary SAC backup.
    """
    return subset_min(q, subset).amax(dim=-1)


def td_target(reward: Tensor, terminated: Tensor, next_value: Tensor, discount: float) -> Tensor:
    """r + gamma (1 - terminated) V(s'): all (B,). A truncated transition has terminated False and bootstraps."""
    return reward + discount * (~terminated).to(next_value.dtype) * next_value


def td_loss(q: Tensor, target: Tensor) -> Tensor:
    """Mean over critics and batch of (Q_i - y)^2; q (E, B), target (B,). Haarnoja et al. 2018, eq. 5, less the half."""
    return (q - target).square().mean()


def calibrated(q: Tensor, mc_return: Tensor) -> Tensor:
    """max(Q, V^mu): values (E, B, n) raised to the data's return (B,). Nakamoto et al. 2023, eq. 5.1.

    Where Q is below the return its gradient is zero; -inf leaves it untouched (plain CQL).
    """
    return torch.maximum(q, mc_return[:, None])


def cql_gap(values: Values, densities: LogDensities, q_data: Tensor, temperature: float = 1.0) -> Tensor:
    """T logsumexp((Q - log w) / T) - Q(s, a_data), for each critic and state: (E, B).

    CQL(H) with importance weights: Kumar et al. 2020, appendix F. As the reference code has it, the sum is not
    divided by the number of samples (a constant log K).
    """
    q = torch.cat(values, dim=-1)
    log_w = torch.cat(densities, dim=-1)
    return temperature * torch.logsumexp((q - log_w) / temperature, dim=-1) - q_data


def calibrated_gap(
    values: Values, densities: LogDensities, q_data: Tensor, mc_return: Tensor, temperature: float = 1.0
) -> Tensor:
    """`cql_gap` with both kinds of policy actions floored at the return; uniform actions and the data are not.

    Nakamoto et al. 2023, section 5 and its released code.
    """
    floored = values._replace(
        policy=calibrated(values.policy, mc_return), next_policy=calibrated(values.next_policy, mc_return)
    )
    return cql_gap(floored, densities, q_data, temperature)


def bound_rate(q: Tensor, mc_return: Tensor) -> Tensor:
    """Fraction of values (E, B, n) that lie below the return (B,): where Cal-QL holds its push-down back."""
    return (q < mc_return[:, None]).float().mean()


def actor_loss(log_prob: Tensor, q: Tensor, temperature: Tensor) -> Tensor:
    """E[alpha log pi(a|s) - Q(s, a)]; log_prob and q (B,). Haarnoja et al. 2018, eq. 7."""
    return (temperature * log_prob - q).mean()


def temperature_loss(log_temperature: Tensor, log_prob: Tensor, target_entropy: float) -> Tensor:
    """-log alpha E[log pi + target entropy], as the Cal-QL code has it: alpha grows while entropy is below target.

    log_prob (B,) must carry no gradient.
    """
    return -log_temperature * (log_prob + target_entropy).mean()
