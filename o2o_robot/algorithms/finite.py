"""Whether a learner's numbers ran away."""

from __future__ import annotations

import torch

from o2o_robot.algorithms import moments
from o2o_robot.algorithms.actor_critic import ActorCritic


def is_finite(learner: ActorCritic) -> bool:
    """Whether every number of its networks and of Adam's moments is finite."""
    tensors = [*learner.networks.state_dict().values(), *moments.as_tensors(learner.optimisers).values()]
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors if tensor.is_floating_point())
