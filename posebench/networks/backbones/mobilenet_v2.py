"""MobileNetV2 (arXiv:1801.04381) with the names of MMPose's `mobilenet_v2.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from posebench.errors import SpecError
from posebench.networks.backbones.channels import make_divisible
from posebench.networks.backbones.conv_modules import ConvModule
from posebench.networks.shapes import Shapes

_STEM_CHANNELS = 32
_LAST_CHANNELS = 1280
# Expansion, output channels, blocks and stride of each stage.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_PUBLISHED_FACTORS = (1.0, 0.75, 0.5, 0.35, 1.3, 1.4)


@dataclass(frozen=True)
class MobileNetV2Options:
    """Options of the family `mobilenet_v2`."""

    widen_factor: float = 1.0

    def __post_init__(self) -> None:
        if self.widen_factor <= 0:
            raise SpecError("A MobileNetV2 needs a widen_factor above 0.")


class InvertedResidual(nn.Module):
    """Expand by a 1x1, filter by a depthwise 3x3, project by a 1x1 convolution."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        layers = [ConvModule(in_channels, hidden, 1, activation=nn.ReLU6)] if expansion != 1 else []
        layers.append(ConvModule(hidden, hidden, 3, stride, groups=hidden, activation=nn.ReLU6))
        layers.append(ConvModule(hidden, out_channels, 1, activation=None))
        self.conv = nn.Sequential(*layers)
        self.identity = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, out_channels, H/stride, W/stride), sides rounded up."""
        y: Tensor = self.conv(x)
        return x + y if self.identity else y


class MobileNetV2(nn.Module):
    """Stem, seven stages and a 1x1 convolution, without the classifier; stride 32."""

    stride = 32

    def __init__(self, options: MobileNetV2Options) -> None:
        super().__init__()
        channels = _stem_channels(options.widen_factor)
        self.conv1 = ConvModule(3, channels, 3, stride=2, activation=nn.ReLU6)
        self._layers: list[str] = []
        outputs = _stage_channels(options.widen_factor)
        for index, (expansion, _, count, stride) in enumerate(_STAGES):
            blocks = []
            for block in range(count):
                first = stride if block == 0 else 1
                blocks.append(InvertedResidual(channels, outputs[index], first, expansion))
                channels = outputs[index]
            self._layers.append(f"layer{index + 1}")
            self.add_module(self._layers[-1], nn.Sequential(*blocks))
        self.out_channels = int(_LAST_CHANNELS * max(options.widen_factor, 1.0))
        self.conv2 = ConvModule(channels, self.out_channels, 1, activation=nn.ReLU6)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, out_channels, H/32, W/32), sides rounded up."""
        x = self.conv1(x)
        for name in self._layers:
            x = self.get_submodule(name)(x)
        result: Tensor = self.conv2(x)
        return result


def _stem_channels(widen_factor: float) -> int:
    return make_divisible(_STEM_CHANNELS * widen_factor, 8)


def _stage_channels(widen_factor: float) -> tuple[int, ...]:
    return tuple(make_divisible(stage[1] * widen_factor, 8) for stage in _STAGES)


def stage_modules(_options: MobileNetV2Options) -> tuple[str, ...]:
    """Return the modules that end a stage: those before the grid is halved, and the last."""
    return "layer2", "layer3", "layer5", "layer7", "conv2"


def describe(options: MobileNetV2Options) -> str:
    """Return the printed name."""
    factor = options.widen_factor
    return "MobileNetV2" if factor == 1 else f"MobileNetV2(w={factor:g})"


def recognise(shapes: Shapes) -> dict[str, Any] | None:
    """Return the options of a MobileNetV2 with these tensors, or None.

    Channels are rounded to multiples of 8, so several factors give the same network; published
    factors are tried first.
    """
    stem, last = shapes.get("conv1.conv.weight"), shapes.get("conv2.conv.weight")
    ends = [
        shapes.get(f"layer{number}.0.conv.{1 if expansion == 1 else 2}.conv.weight")
        for number, (expansion, *_) in enumerate(_STAGES, start=1)
    ]
    if stem is None or last is None or None in ends:
        return None
    channels = tuple(end[0] for end in ends if end is not None)
    others = (last[0] / _LAST_CHANNELS, channels[-1] / _STAGES[-1][1])
    for factor in (*_PUBLISHED_FACTORS, *others):
        built = (_stem_channels(factor), *_stage_channels(factor))
        if built == (stem[0], *channels) and last[0] == int(_LAST_CHANNELS * max(factor, 1.0)):
            return {"widen_factor": factor}
    return None
