"""ResNeSt (arXiv:2004.08955): split attention, named as in MMPose's `resnest.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from posebench.networks.backbones.residual import (
    BOTTLENECK_COUNTS,
    ResidualNetwork,
    ResidualPlan,
    check_depth,
    count_blocks,
    make_shortcut,
)
from posebench.networks.shapes import Shapes

_COUNTS = {**BOTTLENECK_COUNTS, 200: (3, 24, 36, 3), 269: (3, 30, 48, 8)}
# MMPose's stem has 64 channels at every depth; the paper's has 128 from depth 101 on.
_RADIX = 2
_REDUCTION = 4
_NARROWEST_GATE = 32


@dataclass(frozen=True)
class ResNeStOptions:
    """Options of the family `resnest`, of radix 2 and cardinality 1, as published."""

    depth: int = 50

    def __post_init__(self) -> None:
        check_depth("ResNeSt", self.depth, _COUNTS)


class SplitAttention(nn.Module):
    """A grouped 3x3 convolution into `_RADIX` splits, summed with weights that add to 1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        gate = max(channels * _RADIX // _REDUCTION, _NARROWEST_GATE)
        splits = channels * _RADIX
        self.conv = nn.Conv2d(channels, splits, 3, padding=1, groups=_RADIX, bias=False)
        self.bn0 = nn.BatchNorm2d(splits)
        self.relu = nn.ReLU(inplace=True)
        self.fc1 = nn.Conv2d(channels, gate, 1)
        self.bn1 = nn.BatchNorm2d(gate)
        self.fc2 = nn.Conv2d(gate, splits, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        splits = self.relu(self.bn0(self.conv(x))).unflatten(1, (_RADIX, -1))
        means = nn.functional.adaptive_avg_pool2d(splits.sum(dim=1), 1)
        logits = self.fc2(self.relu(self.bn1(self.fc1(means))))
        weights = logits.unflatten(1, (_RADIX, -1)).softmax(dim=1)
        return torch.sum(weights * splits, dim=1)


class Bottleneck(nn.Module):
    """A 1x1 convolution, split attention, mean pooling with the stride, 1x1, and a shortcut."""

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = 4 * width
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = SplitAttention(width)
        self.avd_layer = nn.AvgPool2d(3, stride, padding=1) if stride > 1 else nn.Identity()
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = make_shortcut(in_channels, out_channels, stride, avg_down=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, 4*width, H/stride, W/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(self.avd_layer(self.conv2(y))))
        result: Tensor = self.relu(y + shortcut)
        return result


def build(options: ResNeStOptions) -> ResidualNetwork:
    """Build the stages of a ResNeSt without its classifier."""
    return ResidualNetwork(ResidualPlan(_COUNTS[options.depth], Bottleneck, deep_stem=True))


def stage_modules(_options: ResNeStOptions) -> tuple[str, ...]:
    """Return the modules that end a stage."""
    return "layer1", "layer2", "layer3", "layer4"


def describe(options: ResNeStOptions) -> str:
    """Return the printed name."""
    return f"ResNeSt-{options.depth}"


def recognise(shapes: Shapes) -> dict[str, Any] | None:
    """Return the options of a ResNeSt with these tensors, or None."""
    if "layer1.0.conv2.fc1.weight" not in shapes:
        return None
    blocks = count_blocks(shapes)
    return next(({"depth": depth} for depth, counts in _COUNTS.items() if counts == blocks), None)
