"""The common parts of the ResNet families: stem, stages and shortcuts, as in MMPose's `resnet.py`.

A stride of 2 sits on the 3x3 convolution of a bottleneck (MMPose `style='pytorch'`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from posebench.errors import SpecError
from posebench.networks.backbones.conv_modules import ConvModule
from posebench.networks.shapes import Shapes, count_numbers

BOTTLENECK_COUNTS: dict[int, tuple[int, ...]] = {
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""Blocks in each stage, by the depth of a network of bottlenecks."""


@dataclass(frozen=True)
class ResidualPlan:
    """A stem of `base_channels` and stages of `counts` blocks.

    `make_block` takes (in_channels, width, stride) and returns a block of width * `expansion`
    channels; the width of a stage's blocks is `base_channels`, doubled from stage to stage.
    """

    counts: tuple[int, ...]
    make_block: Callable[[int, int, int], nn.Module]
    expansion: int = 4
    base_channels: int = 64
    deep_stem: bool = False


class ResidualNetwork(nn.Module):
    """The stem and the stages of a plan; the stride is 4, doubled by each stage after the first."""

    def __init__(self, plan: ResidualPlan) -> None:
        super().__init__()
        channels = plan.base_channels
        if plan.deep_stem:
            self.stem = nn.Sequential(
                ConvModule(3, channels // 2, 3, stride=2),
                ConvModule(channels // 2, channels // 2, 3),
                ConvModule(channels // 2, channels, 3),
            )
        else:
            self.conv1 = nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(channels)
            self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self._deep_stem = plan.deep_stem
        self._stages: list[str] = []
        for index, count in enumerate(plan.counts):
            width, stride = plan.base_channels * 2**index, 1 if index == 0 else 2
            inputs = (channels, *(width * plan.expansion,) * (count - 1))
            strides = (stride, *(1,) * (count - 1))
            blocks = [plan.make_block(c, width, s) for c, s in zip(inputs, strides, strict=True)]
            self._stages.append(f"layer{index + 1}")
            self.add_module(self._stages[-1], nn.Sequential(*blocks))
            channels = width * plan.expansion
        self.out_channels = channels
        self.stride = 2 ** (1 + len(plan.counts))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, out_channels, H/stride, W/stride), sides rounded up."""
        x = self.stem(x) if self._deep_stem else self.relu(self.bn1(self.conv1(x)))
        x = self.maxpool(x)
        for name in self._stages:
            x = self.get_submodule(name)(x)
        return x


def make_shortcut(
    in_channels: int, out_channels: int, stride: int, avg_down: bool = False
) -> nn.Sequential | None:
    """Build the projection of a shortcut, or return None if the shapes agree.

    With `avg_down`, mean pooling does the striding (arXiv:1812.01187).
    """
    if stride == 1 and in_channels == out_channels:
        return None
    layers: list[nn.Module] = []
    if avg_down and stride != 1:
        layers.append(nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False))
        stride = 1
    layers.append(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False))
    layers.append(nn.BatchNorm2d(out_channels))
    return nn.Sequential(*layers)


def check_depth(name: str, depth: int, depths: Mapping[int, object]) -> None:
    """Raise `SpecError` unless a family has this depth."""
    if depth not in depths:
        raise SpecError(
            f"There is no {name} of depth {depth}.",
            hint=f"Valid depths: {', '.join(map(str, depths))}.",
        )


def count_blocks(shapes: Shapes) -> tuple[int, ...]:
    """Return the number of blocks in each stage that a state dict has."""
    counts = (count_numbers(shapes, rf"layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4))
    return tuple(count for count in counts if count)
