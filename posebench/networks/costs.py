"""The cost of a network: parameters and multiply-accumulates."""

from __future__ import annotations

import torch
from torch import nn

from posebench.networks.model import Network
from posebench.networks.sizes import InputSize


def count_parameters(model: nn.Module) -> int:
    """Return the number of learned values, without BatchNorm's running statistics."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_gflops(network: Network, size: InputSize) -> float | None:
    """Return the giga multiply-accumulates of one forward pass of one crop of `size`.

    Counts convolutions and matrix products as they run, those of attention included; a multiply-add
    counts as one. Tables of papers call that FLOPs, but each counts in its own way: SimpleBaseline
    has 8.9 for ResNet-50 at 256x192 (5.43 here), HRNet 7.1 for W32 (7.65), ViTPose 17.86 for ViT-B
    (18.52, with the products of attention). The zoo names the convention of each published number
    (`gflops_convention`). Returns None for a network that does not run in torch.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    crop = torch.zeros(1, 3, size.height, size.width)
    # The counter knows matrix products, but not the CPU's fused attention.
    attention = sdpa_kernel(SDPBackend.MATH)
    with torch.no_grad(), attention, FlopCounterMode(display=False) as counter:
        network(crop)
    operations: int = counter.get_total_flops()
    return operations / 2 / 1e9 if operations else None
