"""A success classifier learnt from labelled frames, both classes in equal parts, and its probability calibrated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from o2o_robot.algorithms.encoder_checkpoint import EncoderShape
from o2o_robot.errors import ConfigError
from o2o_robot.reward.augment import AugmentConfig, augmented
from o2o_robot.reward.examples import Examples
from o2o_robot.reward.logistic import calibrate
from o2o_robot.reward.network import SuccessNet
from o2o_robot.types import Array

_AT_ONCE = 512


@dataclass(frozen=True)
class FitConfig:
    """Adam's steps, and what each looks at. near_share: of the other frames, those of the last `near` of an episode."""

    steps: int = 600
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    near: int = 8
    near_share: float = 0.5
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 2 or not self.learning_rate > 0 or not 0 <= self.near_share <= 1:
            raise ConfigError(
                f"steps >= 1, batch_size >= 2, learning_rate > 0 and near_share 0 to 1 are needed, got {self}"
            )


class Scaling(NamedTuple):
    """Platt's: calibrated log-odds are logit / temperature + bias."""

    temperature: float
    bias: float

    def probability(self, logit: Array) -> Array:
        """(N,) of log-odds (N,)."""
        scaled: Array = np.clip(logit / self.temperature + self.bias, -30, 30)
        return 1 / (1 + np.exp(-scaled))


def fit(
    examples: Examples,
    shape: EncoderShape,
    config: FitConfig,
    *,
    seed: int,
    prepare: Callable[[SuccessNet], None] = lambda net: None,
    tick: Callable[[float], None] = lambda loss: None,
) -> SuccessNet:
    """A network that has learnt these examples. prepare: fills in a pretrained encoder. tick: told each step's loss."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = SuccessNet(shape)
    prepare(net)
    generator, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(
        [p for p in net.parameters() if p.requires_grad], config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.steps)
    pools = _pools(examples, config)
    for _ in range(config.steps):
        rows = _draw(pools, config, rng)
        images = {name: torch.from_numpy(image[rows]) for name, image in examples.images.items()}
        truth = torch.from_numpy(examples.is_success[rows]).float()
        loss = binary_cross_entropy_with_logits(net(augmented(images, config.augment, generator)), truth)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        tick(float(loss.detach()))
    return net.eval()


@torch.no_grad()
def log_odds(net: SuccessNet, images: dict[str, Array]) -> Array:
    """(N,) of frames (N, H, W, 3) by camera, uncalibrated."""
    n = len(next(iter(images.values())))
    parts: list[Tensor] = []
    for start in range(0, n, _AT_ONCE):
        some = {name: torch.from_numpy(image[start : start + _AT_ONCE]) for name, image in images.items()}
        parts.append(net(some))
    return torch.cat(parts).numpy().astype(np.float64) if parts else np.zeros(0)


def calibrated(logit: Array, is_success: Array) -> Scaling:
    """From frames the network has not learnt from. A slope that is not positive would call failure success: 1 then."""
    platt = calibrate(logit, is_success)
    slope = float(platt.weights[0])
    return Scaling(1 / slope, platt.bias) if slope > 1e-3 else Scaling(1.0, 0.0)


class _Pools(NamedTuple):
    success: Array
    near: Array
    other: Array


def _pools(examples: Examples, config: FitConfig) -> _Pools:
    """Rows of each class; near: other frames of the last few that an episode has, which look the most like success."""
    others = np.flatnonzero(~examples.is_success)
    last = {e: examples.row[others[examples.episode[others] == e]].max() for e in np.unique(examples.episode[others])}
    is_near = np.array([examples.row[i] > last[examples.episode[i]] - config.near for i in others], bool)
    return _Pools(np.flatnonzero(examples.is_success), others[is_near], others)


def _draw(pools: _Pools, config: FitConfig, rng: np.random.Generator) -> Array:
    n_success = config.batch_size // 2
    n_near = round(config.near_share * (config.batch_size - n_success))
    sizes = (n_success, n_near, config.batch_size - n_success - n_near)
    return np.concatenate([rng.choice(pool, n) for pool, n in zip(pools, sizes, strict=True)])
