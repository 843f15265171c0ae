"""Layers whose outputs are decoded: float32, whatever precision the rest runs in."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def in_float32(layer: nn.Module, x: Tensor) -> Tensor:
    """Return `layer` of `x`, in float32 under autocast too.

    Eight bits of mantissa would make ties of the peak and its neighbours, and move keypoints.
    """
    device = x.device.type
    # Of a device without data (`meta`) torch does not even say whether it is.
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        result: Tensor = layer(x)
        return result
    with torch.autocast(device, enabled=False):
        result = layer(x.float())
        return result
