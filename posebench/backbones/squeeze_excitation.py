"""Squeeze and excitation (arXiv:1709.01507), named as MMPose's `SELayer`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn


class SELayer(nn.Module):
    """Weight the channels by a gate that two 1x1 convolutions compute from their means."""

    def __init__(
        self, channels: int, ratio: int, gate: Callable[[], nn.Module] = nn.Sigmoid
    ) -> None:
        super().__init__()
        inner = channels // ratio
        self.global_avgpool = nn.AdaptiveAvgPool2d(1)
        self.conv1 = _activated(nn.Conv2d(channels, inner, 1), nn.ReLU(inplace=True))
        self.conv2 = _activated(nn.Conv2d(inner, channels, 1), gate())

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        gate: Tensor = self.conv2(self.conv1(self.global_avgpool(x)))
        return x * gate


def _activated(conv: nn.Conv2d, activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(conv=conv, activate=activation))
