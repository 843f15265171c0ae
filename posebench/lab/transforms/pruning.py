"""Magnitude pruning: the smallest weights become 0, those of all layers together or of each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from posebench.lab.transforms.layers import Weighted


def prune_weights(layers: Sequence[Weighted], percent: int) -> None:
    """Set to 0, in place, that percentage of the layers' weights, ranked among all of them."""
    sizes = torch.cat([layer.weight.detach().abs().flatten() for layer in layers])
    limit = limit_of(sizes, percent)
    for layer in layers:
        with torch.no_grad():
            layer.weight[layer.weight.abs() <= limit] = 0


def limit_of(sizes: Tensor, percent: int) -> float:
    """Return the largest of the smallest `percent` of sizes (N,); -1 where that is none."""
    count = round(sizes.numel() * percent / 100)
    return float(sizes.kthvalue(count).values) if count else -1.0
