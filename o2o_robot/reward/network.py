"""Frames of several cameras to the log-odds that the task is done."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from o2o_robot.algorithms.config import AlgoConfig
from o2o_robot.algorithms.encoder_checkpoint import EncoderShape, config_of, shape_of
from o2o_robot.algorithms.networks import build_encoder
from o2o_robot.errors import ConfigError
from o2o_robot.nets.mlp import MLP
from o2o_robot.types import ObservationSpec

WIDTHS = (64,)


class SuccessNet(nn.Module):
    """The encoder of nets/encoder.py over all cameras, and a small head."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        if shape.frame_stack != 1:
            raise ConfigError(
                f"the encoder looks at {shape.frame_stack} frames at once, a success classifier at one; "
                "learn an encoder with frame_stack 1"
            )
        spec = ObservationSpec(cameras=shape.cameras, image_size=shape.image_size, proprio=())
        self.shape = shape
        self.encoder = build_encoder(config_of(shape), spec)
        self.head = MLP(self.encoder.n_latent, WIDTHS, layer_norm=True)
        self.out = nn.Linear(WIDTHS[-1], 1)

    def forward(self, images: Mapping[str, Tensor]) -> Tensor:
        """(B,) log-odds of images (B, H, W, 3) uint8 by camera."""
        latents = self.encoder.camera_latents(self.encoder.features(images))
        z = torch.cat([latent.float() for latent in latents.values()], dim=1)
        logit: Tensor = self.out(self.head(z)).squeeze(1)
        return logit


def default_shape(cameras: tuple[str, ...], image_size: int) -> EncoderShape:
    """The encoder of an actor-critic of the usual settings."""
    return shape_of(AlgoConfig(), ObservationSpec(cameras=cameras, image_size=image_size, proprio=()))
