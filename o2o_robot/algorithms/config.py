"""Every choice an update makes, in one frozen place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch

from o2o_robot.errors import ConfigError

Precision = Literal["auto", "f32", "bf16"]


@dataclass(frozen=True)
class AlgoConfig:
    """Settings of the one actor-critic; presets.py names the known combinations.

    Reward scale, bias and discount are not here: they live in the one RewardTransform that also made the returns.

    Architecture (fixed for the life of a checkpoint): n_critics, widths, latents, convs (channels, kernel, stride).
    TD target: the minimum over a random subset of n_min of the n_critics target critics (REDQ, without replacement);
    max_target_backup takes the best of n_sampled_actions next actions (CQL's max backup), else one action is drawn.
    Conservatism: cql_alpha 0 is SAC; calibrate floors policy actions' values at the Monte-Carlo return (Cal-QL).
    target_entropy None means -n_action; it is the same in every preset, so that no phase switch moves it.
    utd: critic steps per environment step online; critic_steps: critic steps before each actor step.
    """

    n_critics: int = 2
    n_min: int = 2
    critic_widths: tuple[int, ...] = (256, 256)
    actor_widths: tuple[int, ...] = (256, 256)
    critic_layer_norm: bool = True
    actor_layer_norm: bool = True
    convs: tuple[tuple[int, int, int], ...] = ((32, 4, 4), (32, 3, 2), (32, 3, 2))
    image_latent: int = 64
    state_latent: int = 32

    critic_lr: float = 3e-4
    actor_lr: float = 3e-4
    temperature_lr: float = 3e-4
    tau: float = 0.01
    batch_size: int = 128
    utd: float = 1.0
    critic_steps: int = 1

    initial_temperature: float = 0.1
    target_entropy: float | None = None
    backup_entropy: bool = False
    actor_q: Literal["min", "mean"] = "min"
    max_target_backup: bool = False

    cql_alpha: float = 0.0
    cql_temperature: float = 1.0
    n_sampled_actions: int = 4
    calibrate: bool = False

    crop_pad: int = 4
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        if not 1 <= self.n_min <= self.n_critics:
            raise ConfigError(f"n_min must lie in 1..n_critics ({self.n_critics}), got {self.n_min}")
        if self.calibrate and self.cql_alpha == 0:
            raise ConfigError("calibrate=True does nothing while cql_alpha is 0; set cql_alpha (Cal-QL uses 5.0)")
        if not 0 < self.tau <= 1:
            raise ConfigError(f"tau must lie in (0, 1], got {self.tau}; 0.005 to 0.02 is usual")
        for name in ("critic_lr", "actor_lr", "batch_size", "utd", "critic_steps", "n_sampled_actions"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} must be > 0, got {value}")
        if self.backup_entropy and self.max_target_backup:
            raise ConfigError("backup_entropy and max_target_backup do not combine; switch one of them off")
        for name in ("cql_alpha", "crop_pad", "temperature_lr"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be >= 0, got {getattr(self, name)}")
        if not self.critic_widths or not self.actor_widths:
            raise ConfigError("critic_widths and actor_widths need at least one width, such as (256, 256)")

    def entropy_target(self, n_action: int) -> float:
        """The entropy (nats) the temperature steers to."""
        return -float(n_action) if self.target_entropy is None else self.target_entropy


ARCHITECTURE = (
    "n_critics",
    "critic_widths",
    "actor_widths",
    "critic_layer_norm",
    "actor_layer_norm",
    "convs",
    "image_latent",
    "state_latent",
)


def use_bfloat16(precision: Precision, device: str = "cpu") -> bool:
    """Whether products run in bfloat16. "auto" asks the processor: AMX or AVX-512 bf16.

    It times nothing: a choice that depends on the load would make two runs of one seed differ.
    """
    if precision != "auto":
        return precision == "bf16"
    if device != "cpu":
        return True
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
