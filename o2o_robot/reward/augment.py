"""Frames as another lamp and another camera would show them: brightness, contrast and hue, after the random crop.

All randomness comes in as tensors. The crop is nets/crop.py's; the colours follow torchvision's ColorJitter, with the
hue turned about the grey axis in RGB, which is linear and needs no conversion to HSV.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from o2o_robot.errors import ConfigError
from o2o_robot.nets.crop import random_crop


@dataclass(frozen=True)
class AugmentConfig:
    """crop_pad: pixels a frame is shifted by at most. brightness, contrast: factors drawn from 1 -+ this.

    hue_deg: colours are turned by up to this. gains: factor of each colour channel, drawn from 1 -+ this.
    """

    crop_pad: int = 4
    brightness: float = 0.4
    contrast: float = 0.3
    hue_deg: float = 15.0
    gains: float = 0.1

    def __post_init__(self) -> None:
        parts = (self.brightness, self.contrast, self.gains)
        if self.crop_pad < 0 or not all(0 <= part < 1 for part in parts) or not 0 <= self.hue_deg <= 180:
            raise ConfigError(
                f"augmentation needs crop_pad >= 0, brightness, contrast, gains in [0, 1), hue_deg 0 to 180, got {self}"
            )


def augmented(images: Mapping[str, Tensor], config: AugmentConfig, generator: torch.Generator) -> dict[str, Tensor]:
    """Images (B, H, W, 3) uint8 by camera, each sample in one new light; every camera is shifted on its own."""
    batch = len(next(iter(images.values())))
    light = _light(batch, config, generator)
    found = {}
    for name, image in images.items():
        offset = torch.randint(0, 2 * config.crop_pad + 1, (batch, 2), generator=generator)
        found[name] = relit(random_crop({name: image}, offset, pad=config.crop_pad)[name], *light)
    return found


def relit(image: Tensor, colour: Tensor, contrast: Tensor) -> Tensor:
    """Images (B, H, W, 3) uint8 with colours multiplied by (B, 3, 3) and spread about their mean by (B,)."""
    batch = len(image)
    pixels = torch.bmm(image.reshape(batch, -1, 3).float(), colour.transpose(1, 2))
    mean = pixels.mean(dim=(1, 2), keepdim=True)
    spread = (pixels - mean) * contrast[:, None, None] + mean
    return spread.clamp_(0, 255).round_().to(torch.uint8).view_as(image)


def hue_turn(angle_rad: Tensor) -> Tensor:
    """(B, 3, 3): a turn about the grey axis (Rodrigues), which leaves every grey as it is."""
    axis = torch.full((3,), 1 / math.sqrt(3))
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    sin, cos = torch.sin(angle_rad)[:, None, None], torch.cos(angle_rad)[:, None, None]
    return cos * torch.eye(3) + sin * cross + (1 - cos) * torch.outer(axis, axis)


def _light(batch: int, config: AugmentConfig, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A colour matrix (B, 3, 3) and a contrast (B,)."""

    def spread(width: float, *shape: int) -> Tensor:
        return 1 + width * (2 * torch.rand(batch, *shape, generator=generator) - 1)

    angle = (spread(1.0) - 1) * math.radians(config.hue_deg)
    gains = spread(config.brightness)[:, None] * spread(config.gains, 3)
    return gains[:, :, None] * hue_turn(angle), spread(config.contrast)
