"""Pixels and proprioception to one latent vector; and the random crop that makes small image data sets last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from o2o_robot.nets.mlp import orthogonal_linear
from o2o_robot.types import ObservationSpec

Conv = tuple[int, int, int]  # channels out, kernel, stride


class CameraEncoder(nn.Module):
    """One camera: images (B, H, W, 3) uint8 to (B, n_latent) in (-1, 1). A conv pyramid, Dense, LayerNorm, tanh.

    The first convolution takes patches (kernel = stride): most of a small encoder's time goes to its first
    layer's resolution, see benchmarks/update_speed.py.
    """

    def __init__(self, image_size: int, convs: Sequence[Conv], n_latent: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in, side = 3, image_size
        for n_out, kernel, stride in convs:
            padding = 0 if kernel == stride else kernel // 2
            layers += [nn.Conv2d(n_in, n_out, kernel, stride, padding), nn.ReLU()]
            n_in, side = n_out, (side + 2 * padding - kernel) // stride + 1
        self.convs = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.dense = orthogonal_linear(n_in * side * side, n_latent, gain=1.0)
        self.norm = nn.LayerNorm(n_latent)

    def forward(self, image: Tensor) -> Tensor:
        pixels = image.permute(0, 3, 1, 2).to(torch.float32).mul_(1.0 / 255.0)  # H, W, 3 in memory is channels_last
        features = self.convs(pixels).permute(0, 2, 3, 1).flatten(1)
        latent: Tensor = torch.tanh(self.norm(self.dense(features)))
        return latent


class StateEncoder(nn.Module):
    """Proprioception (B, n_state) to (B, n_latent) in (-1, 1): standardised, Dense, LayerNorm, tanh.

    mean and std are set once from the offline data (`set_statistics`) and travel with the weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, n_state: int, n_latent: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_state))
        self.register_buffer("std", torch.ones(n_state))
        self.dense = orthogonal_linear(n_state, n_latent, gain=1.0)
        self.norm = nn.LayerNorm(n_latent)

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Standardise by mean and std (n_state,); a field that never moved (std < 1e-4) is only centred."""
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std < 1e-4, torch.ones_like(std), std))

    def forward(self, state: Tensor) -> Tensor:
        scaled = ((state - self.mean) / self.std).clamp(-10.0, 10.0)
        latent: Tensor = torch.tanh(self.norm(self.dense(scaled)))
        return latent


class ObservationEncoder(nn.Module):
    """Images by camera and state (B, n_state) to one latent (B, n_latent), a part each."""

    def __init__(self, spec: ObservationSpec, convs: Sequence[Conv], *, image_latent: int, state_latent: int) -> None:
        super().__init__()
        self.spec = spec
        self.cameras = nn.ModuleList(CameraEncoder(spec.image_size, convs, image_latent) for _ in spec.cameras)
        self.state = StateEncoder(spec.n_state, state_latent) if spec.n_state else None
        self.n_latent = image_latent * len(spec.cameras) + (state_latent if spec.n_state else 0)

    def forward(self, images: Mapping[str, Tensor], state: Tensor) -> Tensor:
        parts = [encode(images[name]) for name, encode in zip(self.spec.cameras, self.cameras, strict=True)]
        if self.state is not None:
            parts.append(self.state(state))
        return torch.cat([part.float() for part in parts], dim=1)


def random_crop(images: Mapping[str, Tensor], offset: Tensor, *, pad: int) -> dict[str, Tensor]:
    """Shift every camera's images (B, H, W, 3) uint8 by offset (B, 2) in 0..2*pad less pad, repeating the edge.

    The DrQ crop, done on bytes by one gather per camera before anything becomes a float. One offset per sample,
    the same for all its cameras (as SERL does): offset == pad leaves the image as it was.
    """
    if not images or pad == 0:
        return dict(images)
    batch, height, width, _ = next(iter(images.values())).shape
    row = (torch.arange(height) + offset[:, :1] - pad).clamp_(0, height - 1)
    column = (torch.arange(width) + offset[:, 1:] - pad).clamp_(0, width - 1)
    start = torch.arange(batch).view(batch, 1, 1) * (height * width)
    index = (start + row.unsqueeze(2) * width + column.unsqueeze(1)).flatten()
    return {
        name: image.reshape(-1, 3).index_select(0, index.to(image.device)).view_as(image)
        for name, image in images.items()
    }
