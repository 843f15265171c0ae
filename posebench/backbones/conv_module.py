"""A convolution with BatchNorm and activation, named as mmcv's `ConvModule`."""

from __future__ import annotations

from torch import Tensor, nn


class ConvModule(nn.Module):
    """Convolution without bias, BatchNorm and, unless it is None, an activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        activation: type[nn.Module] | None = nn.ReLU,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels)
        self.activate = nn.Identity() if activation is None else activation(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, out_channels, H/stride, W/stride), sides rounded up."""
        result: Tensor = self.activate(self.bn(self.conv(x)))
        return result
