"""One learner in several processes: each takes its rows of the same batch and noise, and gradients are averaged.

    torchrun --standalone --nproc-per-node 2 -m o2o_robot.apps.pretrain data/peg.zarr --out runs/peg

Every process draws the whole batch's row numbers and the whole update's noise from the same seeds and keeps its share,
so N processes of B / N rows make the update of one with B rows, but for the order of summation. Losses are means over
rows; where one also divides by a mean of its batch (DDPG+BC's scale of Q), each process uses its own rows' mean.
Nothing but tensors crosses between processes: no object is pickled.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from o2o_robot.algorithms import noise
from o2o_robot.algorithms.actor_critic import ActorCritic, Metrics
from o2o_robot.algorithms.batch import TensorBatch
from o2o_robot.algorithms.config import AlgoConfig
from o2o_robot.data.mixture import Mixture
from o2o_robot.data.transitions import Transitions
from o2o_robot.errors import ConfigError, ParallelError
from o2o_robot.nets.cached_replay import CachedReplay
from o2o_robot.types import Array, Batch

SHARED = ("subset",)  # noise that is not one row per transition: the same for all processes
PATIENCE = timedelta(minutes=30)  # how long one waits for the others


class Group(NamedTuple):
    """The processes of a run: this one's rank, and how many there are.

    with parallel.open_group("cpu") as group:
        group.join(learner)
        for k in range(steps):
            batch = group.draw(learner, replay, np.random.default_rng((seed, k)))
            metrics = group.update(learner, batch)
    """

    rank: int
    size: int

    @property
    def is_first(self) -> bool:
        """Whether this process writes logs and checkpoints."""
        return self.rank == 0

    def join(self, learner: ActorCritic) -> None:
        """Start from the first process's weights, and average gradients from now on."""
        if self.size == 1:
            return
        if learner.bonus is not None:
            raise ConfigError(
                "an exploration bonus learns by itself in each process; set bonus to 'none' under torchrun"
            )
        share(learner.config, self.size)
        with _together(self):
            for tensor in learner.networks.state_dict().values():
                dist.broadcast(tensor, src=0)
        learner.reduce = self.average

    def draw(
        self, learner: ActorCritic, source: Transitions | Mixture | CachedReplay, rng: np.random.Generator
    ) -> Batch:
        """This process's rows of the batch for one update that `rng` draws."""
        config = learner.config
        kept = None if self.size == 1 else rows_of(config, self.rank, self.size)
        return source.sample(
            learner.rows_per_update, rng, chunk=config.chunk, frame_stack=config.frame_stack, keep=kept
        )

    def update(self, learner: ActorCritic, batch: Batch | TensorBatch) -> Metrics:
        """One update of the learner from this process's rows, with its part of the noise that all draw."""
        config = learner.config
        if self.size == 1:
            return learner.update(batch)
        chance = noise.draw(config, config.batch_size, learner.n_action, learner.generator)
        return learner.update(batch, noise_of(chance, config.batch_size, self.rank, self.size))

    def average(self, gradients: list[Tensor]) -> None:
        """Replace gradients by their mean over all processes, in one message."""
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        with _together(self):
            dist.all_reduce(flat)
        parts = flat.div_(self.size).split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))

    def mean(self, metrics: Metrics) -> Metrics:
        """The processes' mean of each metric. All of them must ask."""
        if self.size == 1 or not metrics:
            return metrics
        flat = torch.stack([metrics[name].detach().float() for name in sorted(metrics)])
        with _together(self):
            dist.all_reduce(flat)
        return dict(zip(sorted(metrics), flat.div_(self.size).unbind(), strict=True))

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """The first process does what follows before the others: what it leaves on disk need not be made twice."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            with _together(self):
                dist.barrier()


ALONE = Group(0, 1)


@contextmanager
def open_group(device: str = "cpu", *, init_method: str = "env://") -> Iterator[Group]:
    """The group that torchrun started this process in (RANK, WORLD_SIZE); ALONE without one.

    init_method: how the processes find each other; "file:///path" needs no port.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    if size == 1:
        yield ALONE
        return
    backend = "nccl" if device.startswith("cuda") else "gloo"
    group = Group(rank, size)
    if backend == "nccl":
        torch.cuda.set_device(device)
    with _together(group):
        dist.init_process_group(backend, init_method=init_method, rank=rank, world_size=size, timeout=PATIENCE)
    try:
        yield group
    finally:
        dist.destroy_process_group()


def own_device(device: str) -> str:
    """`device`, and of several GPUs the one that is this process's (LOCAL_RANK)."""
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if device == "cuda" else device


def share(config: AlgoConfig, size: int) -> int:
    """Rows of each mini-batch that one of `size` processes takes."""
    if config.batch_size % size:
        raise ConfigError(f"batch_size {config.batch_size} does not divide among {size} processes; choose a multiple")
    return config.batch_size // size


def rows_of(config: AlgoConfig, rank: int, size: int) -> Array:
    """Places in an update's batch that belong to process `rank`: its part of each critic step's mini-batch."""
    mine = rank * share(config, size) + np.arange(share(config, size))
    return (np.arange(config.critic_steps)[:, None] * config.batch_size + mine).reshape(-1)


def noise_of(chance: noise.UpdateNoise, batch: int, rank: int, size: int) -> noise.UpdateNoise:
    """The part of an update's noise, drawn for `batch` rows, that belongs to process `rank`'s rows."""

    def part(name: str, tensor: Tensor) -> Tensor:
        if name in SHARED or len(tensor) == 0:
            return tensor
        assert len(tensor) == batch, f"noise '{name}' has {len(tensor)} rows, not {batch}; list it in parallel.SHARED"
        return tensor[rank * batch // size : (rank + 1) * batch // size]

    critic = tuple(noise.CriticNoise(**{k: part(k, v) for k, v in each._asdict().items()}) for each in chance.critic)
    rest = {name: part(name, tensor) for name, tensor in chance._asdict().items() if name != "critic"}
    return noise.UpdateNoise(critic=critic, **rest)


@contextmanager
def _together(group: Group) -> Iterator[None]:
    """Turn what torch says when another process is gone into one line."""
    try:
        yield
    except RuntimeError as problem:
        if not any(sign in str(problem) for sign in ("gloo", "NCCL", "Connection", "timed out")):
            raise
        raise ParallelError(
            f"process {group.rank} of {group.size} stops: another one ended or does not answer; its own message says "
            "why, --resume goes on from the last checkpoint"
        ) from None
