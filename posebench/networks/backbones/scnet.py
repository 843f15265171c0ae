"""SCNet (Liu et al., CVPR 2020): self-calibrated convolutions, named as in MMPose's `scnet.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from posebench.errors import UnsupportedSizeError
from posebench.networks.backbones.residual import (
    BOTTLENECK_COUNTS,
    ResidualNetwork,
    ResidualPlan,
    check_depth,
    count_blocks,
    make_shortcut,
)
from posebench.networks.shapes import Shapes

_COUNTS = {depth: BOTTLENECK_COUNTS[depth] for depth in (50, 101)}
_POOLING = 4


@dataclass(frozen=True)
class SCNetOptions:
    """Options of the family `scnet`."""

    depth: int = 50

    def __post_init__(self) -> None:
        check_depth("SCNet", self.depth, _COUNTS)


class SCConv(nn.Module):
    """A 3x3 convolution, gated by another one that sees the map at a quarter of its sides."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.k2 = nn.Sequential(nn.AvgPool2d(_POOLING), *_conv3x3(channels))
        self.k3 = nn.Sequential(*_conv3x3(channels))
        self.k4 = nn.Sequential(*_conv3x3(channels, stride), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H/stride, W/stride); H and W are 4 or more."""
        if min(x.shape[2:]) < _POOLING:
            raise UnsupportedSizeError(
                f"SCNet pools maps {_POOLING}x{_POOLING}, and one of this input is "
                f"{x.shape[2]}x{x.shape[3]}.",
                hint="Use a larger input size or the policy resample.",
            )
        context = functional.interpolate(self.k2(x), x.shape[2:])
        result: Tensor = self.k4(self.k3(x) * torch.sigmoid(x + context))
        return result


class SCBottleneck(nn.Module):
    """A plain and a self-calibrated branch, each of half the width, and a shortcut."""

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels, half = 4 * width, width // 2
        self.conv1 = nn.Conv2d(in_channels, half, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(half)
        self.k1 = nn.Sequential(*_conv3x3(half, stride), nn.ReLU(inplace=True))
        self.conv2 = nn.Conv2d(in_channels, half, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.scconv = SCConv(half, stride)
        self.conv3 = nn.Conv2d(2 * half, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = make_shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, 4*width, H/stride, W/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        plain = self.k1(self.relu(self.bn1(self.conv1(x))))
        calibrated = self.scconv(self.relu(self.bn2(self.conv2(x))))
        y = self.bn3(self.conv3(torch.cat((plain, calibrated), dim=1)))
        result: Tensor = self.relu(y + shortcut)
        return result


def _conv3x3(channels: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    """Build a convolution and its BatchNorm."""
    conv = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
    return conv, nn.BatchNorm2d(channels)


def build(options: SCNetOptions) -> ResidualNetwork:
    """Build the stages of an SCNet without its classifier."""
    return ResidualNetwork(ResidualPlan(_COUNTS[options.depth], SCBottleneck))


def stage_modules(_options: SCNetOptions) -> tuple[str, ...]:
    """Return the modules that end a stage."""
    return "layer1", "layer2", "layer3", "layer4"


def describe(options: SCNetOptions) -> str:
    """Return the printed name."""
    return f"SCNet-{options.depth}"


def recognise(shapes: Shapes) -> dict[str, Any] | None:
    """Return the options of an SCNet with these tensors, or None."""
    if "layer1.0.scconv.k2.1.weight" not in shapes:
        return None
    blocks = count_blocks(shapes)
    return next(({"depth": depth} for depth, counts in _COUNTS.items() if counts == blocks), None)
