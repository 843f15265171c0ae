"""Gated attention and norms of RTMPose: `rtmcc_block.py`, `transformer.py` of MMPose 1.3.2."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from posebench.networks.shapes import Shapes


@dataclass(frozen=True)
class GauOptions:
    """The gated attention unit of RTMCC heads (`gau_cfg` of MMPose)."""

    hidden_dims: int = 256
    s: int = 128
    expansion_factor: float = 2.0


class ScaleNorm(nn.Module):
    """Divide a vector by its root mean square and multiply it by a learned scalar."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.scale = dim**-0.5
        self.eps = eps
        self.g = nn.Parameter(torch.ones(1))

    def initialise(self, _generator: torch.Generator) -> None:
        """Set the scalar to 1."""
        self.g.fill_(1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., dim) to the same shape."""
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True) * self.scale
        result: Tensor = x / norm.clamp(min=self.eps) * self.g
        return result


class Scale(nn.Module):
    """Multiply each element of a vector by a learned factor."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dim))

    def initialise(self, _generator: torch.Generator) -> None:
        """Set the factors to 1."""
        self.scale.fill_(1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., dim) to the same shape."""
        return x * self.scale


class GatedAttentionUnit(nn.Module):
    """Self-attention over keypoints with squared ReLU, no softmax (`RTMCCBlock` of MMPose)."""

    def __init__(self, options: GauOptions) -> None:
        super().__init__()
        self.s = options.s
        self.e = int(options.hidden_dims * options.expansion_factor)
        self.o = nn.Linear(self.e, options.hidden_dims, bias=False)
        self.uv = nn.Linear(options.hidden_dims, 2 * self.e + self.s, bias=False)
        self.gamma = nn.Parameter(torch.rand(2, self.s))
        self.beta = nn.Parameter(torch.rand(2, self.s))
        self.ln = ScaleNorm(options.hidden_dims)
        self.res_scale = Scale(options.hidden_dims)

    def initialise(self, generator: torch.Generator) -> None:
        """Set factors and shifts of queries and keys, uniform in 0 to 1."""
        for parameter in (self.gamma, self.beta):
            parameter.copy_(torch.rand(parameter.shape, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, K, hidden) to the same shape."""
        gated = functional.silu(self.uv(self.ln(x)))
        u, v, base = torch.split(gated, [self.e, self.e, self.s], dim=-1)
        query, key = (base.unsqueeze(2) * self.gamma + self.beta).unbind(dim=2)
        kernel = functional.relu(query @ key.transpose(1, 2) / math.sqrt(self.s)).square()
        attended: Tensor = self.o(u * (kernel @ v))
        shortcut: Tensor = self.res_scale(x)
        return shortcut + attended


def recognise_gau(shapes: Shapes) -> dict[str, Any] | None:
    """Return the options of the unit `gau` of a head with these tensors, or None."""
    if not {"gau.o.weight", "gau.uv.weight"} <= set(shapes):
        return None
    hidden, expanded = shapes["gau.o.weight"]
    return {
        "hidden_dims": hidden,
        "s": shapes["gau.uv.weight"][0] - 2 * expanded,
        "expansion_factor": expanded / hidden,
    }
