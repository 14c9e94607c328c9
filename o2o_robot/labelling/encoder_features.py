"""Features of frames by an encoder of `o2o pretrain-encoder`, for the classifier of outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from o2o_robot.algorithms.encoder_checkpoint import config_of, fill_encoder, read_encoder_facts
from o2o_robot.algorithms.networks import build_encoder
from o2o_robot.errors import DataError
from o2o_robot.labelling.features import Features, Frames
from o2o_robot.nets.encoder import ObservationEncoder
from o2o_robot.types import Array, ObservationSpec


def encoder_features(folder: str | Path) -> Features:
    """Latents of every camera of an encoder's folder (or of RUN with RUN/encoder), side by side.

    Raises CheckpointError where it holds no encoder, DataError at the first frames that do not fit it.
    """
    folder = Path(folder) / "encoder" if (Path(folder) / "encoder").is_dir() else Path(folder)
    shape = read_encoder_facts(folder).shape
    config = config_of(shape)
    spec = ObservationSpec(cameras=shape.cameras, image_size=shape.image_size, proprio=())
    encoder = build_encoder(config, spec).eval()
    fill_encoder(encoder, config, spec, folder)
    return lambda frames: latents(encoder, frames)


@torch.no_grad()
def latents(encoder: ObservationEncoder, frames: Frames) -> Array:
    """(N, d) float32. An encoder of several frames is shown each one together with those before it."""
    require_fit(encoder.spec, frames)
    images = {name: torch.from_numpy(stacked(frames[name], encoder.frame_stack)) for name in encoder.spec.cameras}
    parts = encoder.camera_latents(encoder.features(images))
    return torch.cat([part.float() for part in parts.values()], dim=1).numpy()


def stacked(images: Array, frame_stack: int) -> Array:
    """(N, H, W, 3) in order of time to (N, H, W, 3k), oldest first; before the first stands the first."""
    rows = np.arange(len(images))
    parts = [images[np.maximum(rows - back, 0)] for back in range(frame_stack - 1, -1, -1)]
    return np.concatenate(parts, axis=3)


def require_fit(spec: ObservationSpec, frames: Mapping[str, Array]) -> None:
    """Raises DataError where a camera is missing or its frames have another size than the encoder's."""
    missing = [name for name in spec.cameras if name not in frames]
    if missing:
        raise DataError(f"the encoder looks at {', '.join(missing)}, the episodes hold {', '.join(frames) or 'none'}")
    side = spec.image_size
    for name in spec.cameras:
        if frames[name].shape[1:3] != (side, side):
            raise DataError(f"frames of {name} are {frames[name].shape[1:3]}, the encoder's {side}x{side}")
