"""Act: an observation in, an action in [-1, 1] out. The learner's weights arrive as bytes, between two steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Generator, Tensor, nn

from o2o_robot.algorithms import checkpoint, gripper
from o2o_robot.algorithms.config import AlgoConfig
from o2o_robot.algorithms.networks import (
    FlowActor,
    GraspCritic,
    Networks,
    build_actor,
    build_critic,
    build_encoder,
    n_decision,
)
from o2o_robot.errors import CheckpointError, DataError
from o2o_robot.types import Array, Observation, ObservationSpec
from o2o_robot.weights_form import TensorForm, require_form

SAFETENSORS_NAME = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


class Policy(nn.Module):
    """Encoder and actor, and whatever else acting takes (and the critic, where a checkpoint brought one), in float32.

        policy = Policy.load("runs/demo/pretrain")
        policy.begin_episode()
        values = policy.act(observation, deterministic=True)
        policy.set_weights(message.data, revision=message.revision)

    A policy of action chunks decides once every `config.chunk` steps and plays the rest open loop; new weights wait
    for the next decision. A flow policy takes the best of N samples by its critic, which then is one of its weights.
    """

    def __init__(self, config: AlgoConfig, spec: ObservationSpec, n_action: int) -> None:
        super().__init__()
        self.config, self.spec, self.n_action = config, spec, n_action
        self.encoder = build_encoder(config, spec)
        self.actor = build_actor(config, self.encoder.n_latent, n_action)
        self.critic = build_critic(config, self.encoder.n_latent, n_action)
        self.grasp = GraspCritic(config, self.encoder.n_latent) if config.gripper == "discrete" else None
        self.revision = 0
        self._queue: list[Array] = []
        self._frames = FrameStack(spec.cameras, config.frame_stack)
        self.requires_grad_(False)

    @classmethod
    def load(cls, folder: str | Path) -> Policy:
        """The policy of a checkpoint folder; CheckpointError where it is missing, damaged or of another make."""
        facts = checkpoint.read_facts(folder)
        policy = cls(facts.config, facts.spec, facts.n_action)
        weights = checkpoint.read_weights(folder)
        wanted = {n: weights[n] for n in weights if n.split(".")[0] in ("encoder", "actor", "critic", "grasp")}
        checkpoint.fill(policy, wanted, where=str(folder))
        policy.revision = facts.n_updates
        return policy

    def begin_episode(self) -> None:
        """Forget the rest of the last chunk, and the last frames."""
        self._queue.clear()
        self._frames.clear()

    @torch.inference_mode()
    def act(self, observation: Observation, *, deterministic: bool = True, rng: Generator | None = None) -> Array:
        """The action (n_action,) float32 in [-1, 1]: the policy's mode, or a sample drawn with `rng`."""
        images = self._frames.add({name: self._image(observation, name) for name in self.spec.cameras})
        if not self._queue:
            z = self.encoder(images, torch.from_numpy(self._state(observation.state)))
            self._queue = list(self._decide(z, deterministic, rng).view(self.config.chunk, -1).numpy())
        return self._queue.pop(0)

    @torch.inference_mode()
    def q_value(self, observation: Observation, action: Array) -> float:
        """The critics' minimum at one decision; as old as the checkpoint, unless acting takes the critic."""
        tried = torch.as_tensor(np.asarray(action, np.float32)).view(1, 1, -1)
        if self.grasp is not None:
            tried = tried[..., :-1]
        images = self._frames.peek({name: self._image(observation, name) for name in self.spec.cameras})
        z = self.encoder(images, torch.from_numpy(self._state(observation.state)))
        return float(self.critic(z, tried).amin())

    @torch.inference_mode()
    def decisions(self, images: Mapping[str, Array], state: Array) -> Array:
        """The mode (B, n) at observations of a Batch: images (B, H, W, 3 k) with frames stacked, state (B, n_state)."""
        seen = {name: torch.from_numpy(np.ascontiguousarray(images[name])) for name in self.spec.cameras}
        z = self.encoder(seen, torch.from_numpy(np.asarray(state, np.float32)))
        return self._decide(z, True, None).numpy()

    def looks(self, observations: Sequence[Observation]) -> tuple[dict[str, Array], Array]:
        """What `decisions` takes, of observations that each begin an episode."""
        k = self.config.frame_stack
        images = {
            name: np.concatenate([np.concatenate([self._image(one, name)] * k, axis=-1) for one in observations])
            for name in self.spec.cameras
        }
        return images, np.concatenate([self._state(one.state) for one in observations])

    def _decide(self, z: Tensor, deterministic: bool, rng: Generator | None) -> Tensor:
        """Decisions (B, n) at latents z; a discrete gripper's command is appended, always the best one."""
        if isinstance(self.actor, FlowActor):
            action = self._best_of_n(z, torch.Generator().manual_seed(0) if deterministic else rng)
        elif deterministic:
            action = self.actor.mode(z)
        else:
            action = self.actor.sample(z, self._normals(len(z), 1, rng)).action[:, 0]
        if self.grasp is not None:
            action = torch.cat([action, gripper.command(self.grasp(z).argmax(-1, keepdim=True))], dim=1)
        return action

    def _best_of_n(self, z: Tensor, rng: Generator | None) -> Tensor:
        """Of n_sampled_actions decisions the one that the critics' minimum ranks first (Q-chunking, eq. 7)."""
        tried = self.actor.sample(z, self._normals(len(z), self.config.n_sampled_actions, rng)).action
        best = self.critic(z, tried).amin(dim=0).argmax(dim=-1)
        return tried[torch.arange(len(z)), best]

    def _normals(self, batch: int, n: int, rng: Generator | None) -> Tensor:
        return torch.randn(batch, n, n_decision(self.config, self.n_action), generator=rng)

    def weights_bytes(self) -> bytes:
        """What acting takes, as safetensors bytes: what `set_weights` reads."""
        return weights_bytes(self)

    def set_weights(self, data: bytes, *, revision: int) -> None:
        """Take over the acting weights; all or nothing. CheckpointError where names, shapes or values are not right.

        The sender's sha256 is checked by the caller, who has both.
        """
        where = f"weights of revision {revision}"
        require_form(data, weights_form(self), where=where)
        try:
            weights = safetensors.torch.load(data)
        except Exception as problem:
            raise CheckpointError(f"{where} are not safetensors: {problem}") from None
        checkpoint.fill(acting_parts(self), weights, where=where)
        self.revision = revision

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


class FrameStack:
    """The last k frames of each camera as one image (1, H, W, 3 k), oldest first; an episode's first frame repeats."""

    def __init__(self, cameras: tuple[str, ...], k: int) -> None:
        self._frames: dict[str, deque[Array]] = {name: deque(maxlen=k) for name in cameras}

    def clear(self) -> None:
        for frames in self._frames.values():
            frames.clear()

    def add(self, images: Mapping[str, Array]) -> dict[str, Tensor]:
        """The stack with these newest frames (1, H, W, 3)."""
        for name, frames in self._frames.items():
            frames.extend([images[name]] * (1 if frames else frames.maxlen or 1))
        return self.peek(images)

    def peek(self, images: Mapping[str, Array]) -> dict[str, Tensor]:
        """The stack as it is; before any `add`, of the given frames alone."""
        return {
            name: torch.from_numpy(np.concatenate(frames or [images[name]] * (frames.maxlen or 1), axis=-1))
            for name, frames in self._frames.items()
        }


def acting_parts(networks: Networks | Policy) -> nn.ModuleDict:
    """The networks that acting takes: encoder and actor, the grasp critic, and the critic where it chooses."""
    parts: dict[str, nn.Module] = {"encoder": networks.encoder, "actor": networks.actor}
    if isinstance(networks.actor, FlowActor):
        parts["critic"] = networks.critic
    if networks.grasp is not None:
        parts["grasp"] = networks.grasp
    return nn.ModuleDict(parts)


def weights_bytes(networks: Networks | Policy, metadata: Mapping[str, str] | None = None) -> bytes:
    """What acting takes of a learner or a policy, as safetensors bytes; metadata: words by name that go with them."""
    acting = acting_parts(networks)
    tensors = {name: tensor.contiguous() for name, tensor in acting.state_dict().items()}
    return safetensors.torch.save(tensors, metadata=dict(metadata) if metadata else None)


def weights_form(networks: Networks | Policy) -> dict[str, TensorForm]:
    """The one form that `set_weights` takes: dtype and shape by name."""
    acting = acting_parts(networks).state_dict()
    return {name: TensorForm(SAFETENSORS_NAME[tensor.dtype], tuple(tensor.shape)) for name, tensor in acting.items()}
