"""Blocks that several backbones share, with the parameter names of mmcv 2.1 and MMPose 1.3.2.

`mmcv/cnn/bricks/conv_module.py`, `mmpose/models/backbones/utils/se_layer.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

Activation = Callable[[], nn.Module]


class ConvModule(nn.Module):
    """A padded convolution, BatchNorm and an optional activation; only strides shrink the grid."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        activation: Activation | None = nn.ReLU,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels)
        self.activate = nn.Identity() if activation is None else activation()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, out_channels, H/stride, W/stride), sides rounded up."""
        result: Tensor = self.activate(self.bn(self.conv(x)))
        return result


class SqueezeExcitation(nn.Module):
    """Weight the channels by a gate, two layers on their means (arXiv:1709.01507)."""

    def __init__(self, channels: int, ratio: int, gate: nn.Module) -> None:
        super().__init__()
        hidden = channels // ratio
        self.global_avgpool = nn.AdaptiveAvgPool2d(1)
        self.conv1, self.conv2 = nn.Sequential(), nn.Sequential()
        self.conv1.add_module("conv", nn.Conv2d(channels, hidden, 1))
        self.conv1.add_module("activate", nn.ReLU(inplace=True))
        self.conv2.add_module("conv", nn.Conv2d(hidden, channels, 1))
        self.conv2.add_module("activate", gate)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        weights: Tensor = self.conv2(self.conv1(self.global_avgpool(x)))
        return x * weights
