"""Output layers, whose results are decoded: they run in float32 under any precision of the rest."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def in_float32(layer: nn.Module, x: Tensor) -> Tensor:
    """Return `layer(x)`, computed in float32 even under autocast.

    With eight bits of mantissa, a peak would tie with its neighbours, and keypoints would move.
    """
    device = x.device.type
    # For a device without data (`meta`), torch cannot say whether autocast is enabled.
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        result: Tensor = layer(x)
        return result
    with torch.autocast(device, enabled=False):
        result = layer(x.float())
        return result
