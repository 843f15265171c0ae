"""ShuffleNetV1 (arXiv:1707.01083) with the names of MMPose's `shufflenet_v1.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from posebench.errors import SpecError
from posebench.networks.backbones.channels import make_divisible
from posebench.networks.backbones.conv_modules import ConvModule
from posebench.networks.shapes import Shapes

_STEM_CHANNELS = 24
_BLOCKS = (4, 8, 4)
# Channels of the stages by the number of groups.
_CHANNELS = {
    1: (144, 288, 576),
    2: (200, 400, 800),
    3: (240, 480, 960),
    4: (272, 544, 1088),
    8: (384, 768, 1536),
}


@dataclass(frozen=True)
class ShuffleNetV1Options:
    """Options of the family `shufflenet_v1`."""

    groups: int = 3
    widen_factor: float = 1.0

    def __post_init__(self) -> None:
        if self.groups not in _CHANNELS or int(_STEM_CHANNELS * self.widen_factor) < 1:
            raise SpecError(
                f"There is no ShuffleNetV1 of {self.groups} groups and "
                f"widen_factor {self.widen_factor}.",
                hint=f"Valid groups: {', '.join(map(str, _CHANNELS))}.",
            )


class ShuffleUnit(nn.Module):
    """Grouped 1x1, depthwise 3x3, grouped 1x1 convolutions, joined with the input or its means."""

    def __init__(self, in_channels: int, out_channels: int, groups: int, first: bool) -> None:
        super().__init__()
        self.groups = groups
        self.adds = in_channels == out_channels
        stride = 1 if self.adds else 2
        made = out_channels if self.adds else out_channels - in_channels
        inner = out_channels // 4
        self.avgpool = nn.AvgPool2d(3, stride=2, padding=1)
        self.g_conv_1x1_compress = ConvModule(in_channels, inner, 1, groups=1 if first else groups)
        self.depthwise_conv3x3_bn = ConvModule(inner, inner, 3, stride, inner, activation=None)
        self.g_conv_1x1_expand = ConvModule(inner, made, 1, groups=groups, activation=None)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, out_channels, H/stride, W/stride), sides rounded up."""
        y = self.depthwise_conv3x3_bn(self.g_conv_1x1_compress(x))
        y = self.g_conv_1x1_expand(nn.functional.channel_shuffle(y, self.groups))
        if self.adds:
            result: Tensor = self.act(x + y)
            return result
        return torch.cat((self.avgpool(x), self.act(y)), dim=1)


class ShuffleNetV1(nn.Module):
    """Stem and three stages, without the classifier; stride 32."""

    stride = 32

    def __init__(self, options: ShuffleNetV1Options) -> None:
        super().__init__()
        channels = int(_STEM_CHANNELS * options.widen_factor)
        self.conv1 = ConvModule(3, channels, 3, stride=2)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        layers: list[nn.Module] = []
        for index, width in enumerate(_stage_channels(options.groups, options.widen_factor)):
            units = [ShuffleUnit(channels, width, options.groups, first=index == 0)]
            for _ in range(_BLOCKS[index] - 1):
                units.append(ShuffleUnit(width, width, options.groups, first=False))
            layers.append(nn.Sequential(*units))
            channels = width
        self.layers = nn.Sequential(*layers)
        self.out_channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, out_channels, H/32, W/32), sides rounded up."""
        result: Tensor = self.layers(self.maxpool(self.conv1(x)))
        return result


def _stage_channels(groups: int, widen_factor: float) -> tuple[int, ...]:
    return tuple(make_divisible(channels * widen_factor, 8) for channels in _CHANNELS[groups])


def stage_modules(_options: ShuffleNetV1Options) -> tuple[str, ...]:
    """Return the modules that end a stage."""
    return "layers.0", "layers.1", "layers.2"


def describe(options: ShuffleNetV1Options) -> str:
    """Return the printed name."""
    width = "" if options.widen_factor == 1 else f",w={options.widen_factor:g}"
    return f"ShuffleNetV1(g={options.groups}{width})"


def recognise(shapes: Shapes) -> dict[str, Any] | None:
    """Return the options of a ShuffleNetV1 with these tensors, or None."""
    stem = shapes.get("conv1.conv.weight")
    compress = [shapes.get(f"layers.{n}.1.g_conv_1x1_compress.conv.weight") for n in (0, 1, 2)]
    if stem is None or None in compress:
        return None
    inner, per_group = zip(*(shape[:2] for shape in compress if shape is not None), strict=True)
    groups = 4 * inner[0] // per_group[0]
    factor = stem[0] / _STEM_CHANNELS
    if groups not in _CHANNELS:
        return None
    widths = _stage_channels(groups, factor)
    fits = tuple(width // 4 for width in widths) == inner
    return {"groups": groups, "widen_factor": factor} if fits else None
