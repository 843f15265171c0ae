"""Noise to try a network with, and how far apart two answers lie."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from posebench.networks.sizes import InputSize

_TINY = torch.finfo(torch.float32).tiny


def noise_crops(count: int, size: InputSize) -> Tensor:
    """Return normalised crops (N, 3, H, W) of noise, the same ones every time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, size.height, size.width, generator=generator)


def relative_gap(expected: Sequence[Tensor], found: Sequence[Tensor]) -> float:
    """Return the largest difference of outputs, of the largest one expected."""
    pairs = zip(expected, found, strict=True)
    return max(
        float((one - two).abs().max() / one.abs().max().clamp_min(_TINY)) for one, two in pairs
    )
