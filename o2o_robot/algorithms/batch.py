"""A Batch as tensors of the learner's device, its reward transformed once and for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from o2o_robot.data.returns import RewardTransform
from o2o_robot.nets.tanh_gaussian import EDGE
from o2o_robot.types import Array, Batch, ObservationSpec


class TensorBatch(NamedTuple):
    """B rows. Images stay uint8 (B, H, W, 3); discount (B,) is gamma to the number of steps a row spans."""

    images: dict[str, Tensor]
    next_images: dict[str, Tensor]
    state: Tensor
    next_state: Tensor
    action: Tensor
    reward: Tensor
    terminated: Tensor
    mc_return: Tensor
    discount: Tensor

    def rows(self, start: int, stop: int) -> TensorBatch:
        """Rows start..stop of everything, as views."""
        images = {name: image[start:stop] for name, image in self.images.items()}
        next_images = {name: image[start:stop] for name, image in self.next_images.items()}
        return TensorBatch(images, next_images, *(part[start:stop] for part in self[2:]))

    def each(self, change: Callable[[Tensor], Tensor]) -> TensorBatch:
        """The batch with `change` made to every tensor."""
        images, next_images = ({name: change(image) for name, image in part.items()} for part in self[:2])
        return TensorBatch(images, next_images, *(change(part) for part in self[2:]))


def to_tensors(batch: Batch, spec: ObservationSpec, transform: RewardTransform, device: str) -> TensorBatch:
    """The batch on the device: rewards transformed, actions pulled in from the edges of [-1, 1]."""
    return moved(staged(batch, spec, transform), device)


def staged(batch: Batch, spec: ObservationSpec, transform: RewardTransform, *, pin: bool = False) -> TensorBatch:
    """`to_tensors` up to the last step, still in the machine's memory; pin: in pages that a GPU can fetch by itself.

    That is what a thread can do ahead of time: the copy that remains then runs beside the GPU's work.
    """

    def tensor(array: Array) -> Tensor:
        held = torch.from_numpy(array)
        return held.pin_memory() if pin else held

    reward, discount = _transformed(batch, transform)
    return TensorBatch(
        {name: tensor(batch.images[name]) for name in spec.cameras},
        {name: tensor(batch.next_images[name]) for name in spec.cameras},
        tensor(batch.state),
        tensor(batch.next_state),
        tensor(np.clip(batch.action, -EDGE, EDGE)),
        tensor(reward),
        tensor(batch.terminated),
        tensor(batch.mc_return),
        tensor(discount),
    )


def moved(tensors: TensorBatch, device: str) -> TensorBatch:
    """The batch on the device. From pinned memory the copy does not make the caller wait."""
    return tensors.each(lambda tensor: tensor.to(device, non_blocking=True))


def _transformed(batch: Batch, transform: RewardTransform) -> tuple[Array, Array]:
    """scale R + bias (1 + ... + gamma^(n-1)) and gamma^n, (B,) float32 each, for rows of n steps and raw sum R."""
    if batch.n_steps is None:
        return transform.apply(batch.reward), np.full(len(batch.reward), transform.discount, np.float32)
    discount = np.power(transform.discount, batch.n_steps.astype(np.float64))
    steps = (1.0 - discount) / (1.0 - transform.discount)
    reward = np.asarray(batch.reward, np.float64) * transform.scale + transform.bias * steps
    return reward.astype(np.float32), discount.astype(np.float32)
