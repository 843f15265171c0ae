"""Output layers, whose results are decoded: they run in float32 under any precision of the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result")


def in_float32(layer: Callable[..., Result], *inputs: Tensor) -> Result:
    """Return `layer(*inputs)`, computed in float32 even under autocast.

    With eight bits of mantissa, a peak would tie with its neighbours, and keypoints would move.
    """
    device = inputs[0].device.type
    # For a device without data, torch cannot say whether autocast is enabled. (It has a function
    # that tells for which it can, which torch.compile of 2.11 cannot trace.)
    if inputs[0].is_meta or not torch.is_autocast_enabled(device):
        return layer(*inputs)
    with torch.autocast(device, enabled=False):
        return layer(*(each.float() for each in inputs))
