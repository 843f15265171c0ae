"""ViPNAS-MobileNetV3 (Xu et al., arXiv:2105.10154) with the parameter names of MMPose 1.3.2.

Numbers: `mmpose/models/backbones/{vipnas_mbv3,utils/inverted_residual}.py`, the searched defaults.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from posebench.networks.backbones.conv_modules import Activation, ConvModule, SqueezeExcitation
from posebench.networks.shapes import Shapes

_STEM_CHANNELS = 16
_SQUEEZE_RATIO = 4


@dataclass(frozen=True)
class ViPNASMobileNetV3Options:
    """The family `vipnas_mobilenet_v3` is a single network without options."""


@dataclass(frozen=True)
class _Stage:
    """`blocks` of one shape; the first has the stride."""

    channels: int
    expansion: int
    blocks: int
    kernel: int
    groups: int
    attention: bool
    stride: int
    activation: Activation


_STAGES = (
    _Stage(16, 1, 1, 3, 8, True, 1, nn.ReLU),
    _Stage(24, 5, 4, 7, 120, True, 2, nn.ReLU),
    _Stage(40, 4, 4, 7, 20, False, 2, nn.ReLU),
    _Stage(80, 5, 4, 5, 100, True, 2, nn.Hardswish),
    _Stage(112, 5, 4, 7, 280, True, 1, nn.Hardswish),
    _Stage(160, 6, 4, 5, 240, True, 2, nn.Hardswish),
)


class HalfSigmoid(nn.Module):
    """`clamp((x + 1) / 2, 0, 1)`: mmcv's HSigmoid; torch's divides by 6 instead."""

    def forward(self, x: Tensor) -> Tensor:
        """Map any shape to itself."""
        return ((x + 1) / 2).clamp(0, 1)


class InvertedResidual(nn.Module):
    """Widen, filter in groups, weight the channels, narrow; add the input if shapes agree."""

    def __init__(self, in_channels: int, stage: _Stage, stride: int) -> None:
        super().__init__()
        middle = stage.channels * stage.expansion
        self.expand_conv = (
            nn.Identity()
            if stage.expansion == 1
            else ConvModule(in_channels, middle, 1, activation=stage.activation)
        )
        self.depthwise_conv = ConvModule(
            middle, middle, stage.kernel, stride, stage.groups, stage.activation
        )
        self.se = (
            SqueezeExcitation(middle, _SQUEEZE_RATIO, HalfSigmoid())
            if stage.attention
            else nn.Identity()
        )
        self.linear_conv = ConvModule(middle, stage.channels, 1, activation=None)
        self.shortcut = stride == 1 and in_channels == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, channels, H/stride, W/stride), sides rounded up."""
        y: Tensor = self.linear_conv(self.se(self.depthwise_conv(self.expand_conv(x))))
        return x + y if self.shortcut else y


class ViPNASMobileNetV3(nn.Module):
    """A stem and the inverted residuals `layer1` to `layer21`; stride 32."""

    def __init__(self, _options: ViPNASMobileNetV3Options) -> None:
        super().__init__()
        channels = _STEM_CHANNELS
        self.conv1 = ConvModule(3, channels, 3, stride=2, activation=nn.Hardswish)
        self._layers: list[str] = []
        for stage in _STAGES:
            for index in range(stage.blocks):
                block = InvertedResidual(channels, stage, stage.stride if index == 0 else 1)
                self._layers.append(f"layer{len(self._layers) + 1}")
                self.add_module(self._layers[-1], block)
                channels = stage.channels
        self.out_channels = channels
        self.stride = 32

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, 160, H/32, W/32), sides rounded up."""
        x = self.conv1(x)
        for name in self._layers:
            x = self.get_submodule(name)(x)
        return x


def stage_modules(_options: ViPNASMobileNetV3Options) -> tuple[str, ...]:
    """Return the modules that end a stage."""
    ends = itertools.accumulate(stage.blocks for stage in _STAGES)
    return tuple(f"layer{end}" for end in ends)


def describe(_options: ViPNASMobileNetV3Options) -> str:
    """Return the printed name, as in the paper."""
    return "ViPNAS-MobileNetV3"


def recognise(shapes: Shapes) -> dict[str, Any] | None:
    """Return empty options for tensors of this network, None for others."""
    names = ("layer1.depthwise_conv.conv.weight", "layer21.linear_conv.conv.weight")
    return {} if all(name in shapes for name in names) else None
