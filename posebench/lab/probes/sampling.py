"""Tokens at places of the input, read off maps of any stride."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from posebench.networks.sizes import InputSize


def tokens_at(maps: Tensor, places: Tensor, size: InputSize) -> Tensor:
    """Return tokens (N, K, C) of maps (N, C, h, w) at places (N, K, 2) in input pixels.

    A cell stands for the middle of its pixels; between cells tokens are bilinear.
    """
    sides = torch.tensor([size.width, size.height], dtype=maps.dtype)
    grid = (places.to(maps.dtype) + 0.5) / sides * 2 - 1
    sampled = functional.grid_sample(
        maps, grid[:, :, None], mode="bilinear", padding_mode="border", align_corners=False
    )
    return sampled[..., 0].transpose(1, 2)


def grid_places(size: InputSize, step: int) -> Tensor:
    """Return the middles (P, 2) of squares of `step` input pixels, row by row, x then y."""
    down = (torch.arange(size.height // step) + 0.5) * step - 0.5
    right = (torch.arange(size.width // step) + 0.5) * step - 0.5
    y, x = torch.meshgrid(down, right, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)
