"""Act: an observation in, an action in [-1, 1] out. The learner's weights arrive as bytes, between two steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Generator, Tensor, nn

from o2o_robot.algorithms import checkpoint
from o2o_robot.algorithms.config import AlgoConfig
from o2o_robot.algorithms.networks import Actor, Networks, build_critic, build_encoder
from o2o_robot.errors import CheckpointError, DataError
from o2o_robot.types import Array, Observation, ObservationSpec


class Policy(nn.Module):
    """Encoder and actor (and the critic, where a checkpoint brought one), in float32.

    policy = Policy.load("runs/demo/pretrain")
    values = policy.act(observation, deterministic=True)
    policy.set_weights(message.data, revision=message.revision)
    """

    def __init__(self, config: AlgoConfig, spec: ObservationSpec, n_action: int) -> None:
        super().__init__()
        self.config, self.spec, self.n_action = config, spec, n_action
        self.encoder = build_encoder(config, spec)
        self.actor = Actor(config, self.encoder.n_latent, n_action)
        self.critic = build_critic(config, self.encoder.n_latent, n_action)
        self.revision = 0
        self.requires_grad_(False)

    @classmethod
    def load(cls, folder: str | Path) -> Policy:
        """The policy of a checkpoint folder; CheckpointError where it is missing, damaged or of another make."""
        facts = checkpoint.read_facts(folder)
        policy = cls(facts.config, facts.spec, facts.n_action)
        weights = checkpoint.read_weights(folder)
        wanted = {name: weights[name] for name in weights if name.split(".")[0] in ("encoder", "actor", "critic")}
        checkpoint.fill(policy, wanted, where=str(folder))
        policy.revision = facts.n_updates
        return policy

    @torch.inference_mode()
    def act(self, observation: Observation, *, deterministic: bool = True, rng: Generator | None = None) -> Array:
        """The action (n_action,) float32 in [-1, 1]: the mean's tanh, or a sample drawn with `rng`."""
        gaussian = self.actor(self._latent(observation))
        u = gaussian.mean
        if not deterministic:
            u = u + gaussian.log_std.exp() * torch.randn(u.shape, generator=rng)
        return torch.tanh(u)[0].numpy()

    @torch.inference_mode()
    def q_value(self, observation: Observation, action: Array) -> float:
        """The critics' minimum at one action (n_action,). As old as the checkpoint: weights by wire bring no critic."""
        tried = torch.as_tensor(np.asarray(action, np.float32)).view(1, 1, -1)
        return float(self.critic(self._latent(observation), tried).amin())

    def weights_bytes(self) -> bytes:
        """Encoder and actor as safetensors bytes, what `set_weights` takes."""
        return weights_bytes(self)

    def set_weights(self, data: bytes, *, revision: int) -> None:
        """Take over encoder and actor; all or nothing. CheckpointError where keys, shapes or values are not right.

        The sender's sha256 is checked by the caller, who has both.
        """
        try:
            weights = safetensors.torch.load(data)
        except Exception as problem:
            raise CheckpointError(f"weights of revision {revision} are not safetensors: {problem}") from None
        acting = nn.ModuleDict({"encoder": self.encoder, "actor": self.actor})
        checkpoint.fill(acting, weights, where=f"weights of revision {revision}")
        self.revision = revision

    def _latent(self, observation: Observation) -> Tensor:
        images = {name: torch.from_numpy(self._image(observation, name)) for name in self.spec.cameras}
        latent: Tensor = self.encoder(images, torch.from_numpy(self._state(observation.state)))
        return latent

    def _image(self, observation: Observation, name: str) -> Array:
        """The camera's image as (1, H, W, 3); DataError where it is missing or of another size."""
        side = self.spec.image_size
        image = observation.images.get(name)
        if image is None:
            raise DataError(f"the observation lacks camera '{name}'; it has {sorted(observation.images)}")
        if image.shape != (side, side, 3) or image.dtype != np.uint8:
            raise DataError(
                f"camera '{name}' gave {image.dtype} {image.shape}, the policy wants uint8 ({side}, {side}, 3)"
            )
        return np.ascontiguousarray(image)[None]

    def _state(self, state: Mapping[str, Array]) -> Array:
        for name, size in self.spec.proprio:
            if name not in state or np.size(state[name]) != size:
                have = {field: np.size(value) for field, value in state.items()}
                raise DataError(f"the policy wants proprioception '{name}' of size {size}; the observation has {have}")
        if not self.spec.proprio:
            return np.zeros((1, 0), np.float32)
        vector = self.spec.state_vector(state)
        if not np.isfinite(vector).all():
            raise DataError(f"proprioception holds a non-finite number: {vector}; the policy does not act on it")
        return vector[None]


def weights_bytes(networks: Networks | Policy) -> bytes:
    """Encoder and actor of a learner or a policy as safetensors bytes."""
    acting = nn.ModuleDict({"encoder": networks.encoder, "actor": networks.actor})
    return safetensors.torch.save({name: tensor.contiguous() for name, tensor in acting.state_dict().items()})
