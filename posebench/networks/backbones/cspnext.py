"""CSPNeXt P5 (RTMDet, arXiv:2212.07784) with the parameter names of MMDetection and MMPose.

BatchNorm has eps 1e-5: MMPose's configs replace the class default of 1e-3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from posebench.errors import SpecError
from posebench.networks.backbones.conv_modules import ConvModule
from posebench.networks.shapes import Shapes, count_numbers

CSPNEXT_VARIANTS: dict[str, tuple[float, float]] = {
    "t": (0.167, 0.375),
    "s": (0.33, 0.5),
    "m": (0.67, 0.75),
    "l": (1.0, 1.0),
    "x": (1.33, 1.25),
}
"""Deepen and widen factor of each published size."""

_STEM_CHANNELS = 64
# Output channels, blocks, identity in the blocks, spatial pyramid pooling.
_STAGES = (
    (128, 3, True, False),
    (256, 6, True, False),
    (512, 6, True, False),
    (1024, 3, False, True),
)
_POOL_KERNELS = (5, 9, 13)
_NARROWEST = 4


@dataclass(frozen=True)
class CSPNeXtOptions:
    """Options of the family `cspnext`; `out_stage` 3 stops at stride 16, without stage 4."""

    deepen_factor: float
    widen_factor: float
    out_stage: Literal[3, 4] = 4

    def __post_init__(self) -> None:
        if self.deepen_factor <= 0 or _STEM_CHANNELS * self.widen_factor < _NARROWEST:
            raise SpecError(
                f"CSPNeXt cannot have deepen_factor {self.deepen_factor} and "
                f"widen_factor {self.widen_factor}.",
                hint=f"Both must be positive, the second at least {_NARROWEST / _STEM_CHANNELS}.",
            )


class SeparableConv(nn.Module):
    """A depthwise and a pointwise convolution."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.depthwise_conv = _conv(in_channels, in_channels, kernel, groups=in_channels)
        self.pointwise_conv = _conv(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, out_channels, H, W)."""
        result: Tensor = self.pointwise_conv(self.depthwise_conv(x))
        return result


class CSPNeXtBlock(nn.Module):
    """A 3x3 and a separable 5x5 convolution, added to the input if `identity` is set."""

    def __init__(self, channels: int, identity: bool) -> None:
        super().__init__()
        self.conv1 = _conv(channels, channels, 3)
        self.conv2 = SeparableConv(channels, channels, 5)
        self.identity = identity

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        y: Tensor = self.conv2(self.conv1(x))
        return y + x if self.identity else y


class ChannelAttention(nn.Module):
    """Weight the channels by a gate computed from their means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.global_avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Conv2d(channels, channels, 1)
        self.act = nn.Hardsigmoid(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        gate: Tensor = self.act(self.fc(self.global_avgpool(x)))
        return x * gate


class CSPLayer(nn.Module):
    """Half the channels through the blocks, half past them, then a 1x1 convolution.

    With `attention`, the channels are weighted before the 1x1 convolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, blocks: int, identity: bool, attention: bool
    ) -> None:
        super().__init__()
        half = out_channels // 2
        self.main_conv = _conv(in_channels, half, 1)
        self.short_conv = _conv(in_channels, half, 1)
        self.final_conv = _conv(2 * half, out_channels, 1)
        self.blocks = nn.Sequential(*(CSPNeXtBlock(half, identity) for _ in range(blocks)))
        self.attention = ChannelAttention(2 * half) if attention else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        short = self.short_conv(x)
        main = self.blocks(self.main_conv(x))
        joined = torch.cat((main, short), dim=1)
        if self.attention is not None:
            joined = self.attention(joined)
        result: Tensor = self.final_conv(joined)
        return result


class SPPBottleneck(nn.Module):
    """Spatial pyramid pooling: maxima over three neighbourhoods beside the features themselves."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = _conv(channels, half, 1)
        self.poolings = nn.ModuleList(
            nn.MaxPool2d(kernel, stride=1, padding=kernel // 2) for kernel in _POOL_KERNELS
        )
        self.conv2 = _conv(half * (1 + len(_POOL_KERNELS)), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        y = self.conv1(x)
        result: Tensor = self.conv2(torch.cat([y, *(pool(y) for pool in self.poolings)], dim=1))
        return result


class CSPNeXt(nn.Module):
    """The stem and the first `out_stage` stages; stride 2 to the power of `out_stage` + 1."""

    def __init__(self, options: CSPNeXtOptions) -> None:
        super().__init__()
        widen = options.widen_factor
        channels, half = int(_STEM_CHANNELS * widen), int(_STEM_CHANNELS * widen // 2)
        self.stem = nn.Sequential(
            _conv(3, half, 3, stride=2),
            _conv(half, half, 3),
            _conv(half, channels, 3),
        )
        self._stages: list[str] = []
        widths: list[int] = []
        stages = _STAGES[: options.out_stage]
        for index, (base, blocks, identity, pyramid) in enumerate(stages, start=1):
            out_channels = int(base * widen)
            layers: list[nn.Module] = [_conv(channels, out_channels, 3, stride=2)]
            if pyramid:
                layers.append(SPPBottleneck(out_channels))
            count = max(round(blocks * options.deepen_factor), 1)
            layers.append(CSPLayer(out_channels, out_channels, count, identity, attention=True))
            self.add_module(f"stage{index}", nn.Sequential(*layers))
            self._stages.append(f"stage{index}")
            widths.append(out_channels)
            channels = out_channels
        self.out_channels = channels
        self.pyramid_channels = tuple(widths[1:])
        self.stride = 2 ** (options.out_stage + 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, out_channels, H/stride, W/stride), sides rounded up."""
        return self.pyramid(x)[-1]

    def pyramid(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map (N, 3, H, W) to the features of strides 8, 16 and, from stage 4, 32."""
        x = self.stem(x)
        features = []
        for name in self._stages:
            x = self.get_submodule(name)(x)
            features.append(x)
        return tuple(features[1:])


def _conv(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> ConvModule:
    return ConvModule(in_channels, out_channels, kernel, stride, groups, activation=nn.SiLU)


def stage_modules(options: CSPNeXtOptions) -> tuple[str, ...]:
    """Return the modules that end a stage."""
    return tuple(f"stage{number}" for number in range(1, options.out_stage + 1))


def describe(options: CSPNeXtOptions) -> str:
    """Return the printed name: that of the published size, or the factors if there is none."""
    factors = (options.deepen_factor, options.widen_factor)
    for letter, published in CSPNEXT_VARIANTS.items():
        if factors == published and options.out_stage == len(_STAGES):
            return f"CSPNeXt-{letter}"
    shown = f"d={options.deepen_factor:g},w={options.widen_factor:g}"
    stride = "" if options.out_stage == len(_STAGES) else f",stride={2 ** (options.out_stage + 1)}"
    return f"CSPNeXt({shown}{stride})"


def recognise(shapes: Shapes) -> dict[str, Any] | None:
    """Return the options of a CSPNeXt with these tensors, or None."""
    stem = shapes.get("stem.2.conv.weight")
    if stem is None or "stage1.1.attention.fc.weight" not in shapes:
        return None
    blocks = [count_numbers(shapes, rf"stage{n}\.\d+\.blocks\.(\d+)\.") for n in (1, 2, 3, 4)]
    out_stage = 4 if blocks[3] else 3
    widen = stem[0] / _STEM_CHANNELS
    published = [deepen for deepen, wide in CSPNEXT_VARIANTS.values() if wide == widen]
    others = [deepen for deepen, _ in CSPNEXT_VARIANTS.values()]
    for deepen in (*published, *others, blocks[1] / _STAGES[1][1]):
        built = [max(round(stage[1] * deepen), 1) for stage in _STAGES]
        if built[:out_stage] == blocks[:out_stage]:
            options: dict[str, Any] = {"deepen_factor": deepen, "widen_factor": widen}
            if out_stage != len(_STAGES):
                options["out_stage"] = out_stage
            return options
    return None
