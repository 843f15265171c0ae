"""Weights that two programs can make alike: values from a tensor's name alone."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch import Tensor, nn


def filled(name: str, like: Tensor) -> Tensor:
    """Return values that depend on the name alone and keep activations near 1."""
    values = np.random.RandomState(zlib.crc32(name.encode())).uniform(-1, 1, like.shape)
    if name.endswith("num_batches_tracked"):
        values = np.zeros(like.shape)
    elif like.ndim >= 2:
        values *= (3 / (like.numel() / like.shape[0])) ** 0.5
    elif name.endswith((".bias", "running_mean")):
        values *= 0.1
    else:
        values = 1 + 0.2 * values
    return torch.from_numpy(values).to(like.dtype)


def fill(module: nn.Module) -> None:
    """Set all parameters and buffers of a module, which may be on the meta device."""
    state = {key: filled(key, value) for key, value in module.state_dict().items()}
    module.load_state_dict(state, assign=True)


def seeded_crop(height: int, width: int) -> Tensor:
    """Return one crop (1, 3, height, width) of uniform noise in -2 to 2."""
    crop = np.random.RandomState(0).uniform(-2, 2, (1, 3, height, width))
    return torch.from_numpy(crop).float()
