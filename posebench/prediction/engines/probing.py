"""Noise to try a network with, and how far apart two answers lie."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from posebench.networks.sizes import InputSize

# Black and white after normalising by ImageNet's mean and deviation.
_RANGE = (-2.1, 2.6)
_BLUR = 9
_TINY = torch.finfo(torch.float32).tiny


def noise_crops(count: int, size: InputSize) -> Tensor:
    """Return normalised crops (N, 3, H, W) of noise, the same ones every time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, size.height, size.width, generator=generator)


def trial_crops(size: InputSize) -> Tensor:
    """Return normalised crops of kinds that networks answer differently, the same every time.

    They are noise, noise as smooth as photographs are, a gradient, and one plain colour.
    """
    noise = noise_crops(1, size)
    smooth = functional.avg_pool2d(noise, _BLUR, stride=1, padding=_BLUR // 2) * _BLUR
    gradient = torch.linspace(*_RANGE, size.width).expand_as(noise)
    return torch.cat((noise, smooth, gradient, torch.zeros_like(noise)))


def relative_gap(expected: Sequence[Tensor], found: Sequence[Tensor]) -> float:
    """Return the largest difference of outputs, relative to the largest expected one."""
    pairs = zip(expected, found, strict=True)
    return max(
        float((one - two).abs().max() / one.abs().max().clamp_min(_TINY)) for one, two in pairs
    )
