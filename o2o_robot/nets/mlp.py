"""A plain perceptron: Linear, optional LayerNorm, ReLU, for as many widths as are asked."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class MLP(nn.Module):
    """Hidden layers only: (..., n_in) to (..., n_out), where n_out is the last width. Heads are added by the caller."""

    def __init__(self, n_in: int, widths: Sequence[int], *, layer_norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in widths:
            layers.append(orthogonal_linear(n_in, width))
            if layer_norm:
                layers.append(nn.LayerNorm(width))
            layers.append(nn.ReLU())
            n_in = width
        self.layers = nn.Sequential(*layers)
        self.n_out = n_in

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out


def orthogonal_linear(n_in: int, n_out: int, *, gain: float = 2**0.5) -> nn.Linear:
    """A Linear with orthogonal weights and zero bias; gain sqrt(2) suits a ReLU behind it, 0.01 suits an output."""
    linear = nn.Linear(n_in, n_out)
    nn.init.orthogonal_(linear.weight, gain)
    nn.init.zeros_(linear.bias)
    return linear
