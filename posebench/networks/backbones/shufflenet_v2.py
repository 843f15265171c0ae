"""ShuffleNetV2 (arXiv:1807.11164) with the names of MMPose's `shufflenet_v2.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from posebench.errors import SpecError
from posebench.networks.backbones.conv_modules import ConvModule
from posebench.networks.shapes import Shapes

_STEM_CHANNELS = 24
_BLOCKS = (4, 8, 4)
# Channels of the three stages and of the last convolution.
_CHANNELS: dict[float, tuple[int, int, int, int]] = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}


@dataclass(frozen=True)
class ShuffleNetV2Options:
    """Options of the family `shufflenet_v2`."""

    widen_factor: float = 1.0

    def __post_init__(self) -> None:
        if self.widen_factor not in _CHANNELS:
            raise SpecError(
                f"There is no ShuffleNetV2 of widen_factor {self.widen_factor}.",
                hint=f"Valid: {', '.join(map(str, _CHANNELS))}.",
            )


class ShuffleBlock(nn.Module):
    """Half the channels through a branch, half past it; with a stride, all through two branches."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.branch1: nn.Sequential | None = None
        if stride > 1:
            self.branch1 = nn.Sequential(
                ConvModule(in_channels, in_channels, 3, stride, in_channels, activation=None),
                ConvModule(in_channels, half, 1),
            )
        self.branch2 = nn.Sequential(
            ConvModule(in_channels if stride > 1 else half, half, 1),
            ConvModule(half, half, 3, stride, half, activation=None),
            ConvModule(half, half, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, out_channels, H/stride, W/stride), sides rounded up."""
        if self.branch1 is None:
            kept, x = x.chunk(2, dim=1)
        else:
            kept = self.branch1(x)
        return nn.functional.channel_shuffle(torch.cat((kept, self.branch2(x)), dim=1), 2)


class ShuffleNetV2(nn.Module):
    """Stem, three stages and a 1x1 convolution, without the classifier; stride 32."""

    stride = 32

    def __init__(self, options: ShuffleNetV2Options) -> None:
        super().__init__()
        *stages, self.out_channels = _CHANNELS[options.widen_factor]
        self.conv1 = ConvModule(3, _STEM_CHANNELS, 3, stride=2)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        layers: list[nn.Module] = []
        channels = _STEM_CHANNELS
        for width, count in zip(stages, _BLOCKS, strict=True):
            blocks = [ShuffleBlock(channels, width, 2)]
            blocks += [ShuffleBlock(width, width, 1) for _ in range(count - 1)]
            layers.append(nn.Sequential(*blocks))
            channels = width
        self.layers = nn.Sequential(*layers, ConvModule(channels, self.out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, out_channels, H/32, W/32), sides rounded up."""
        result: Tensor = self.layers(self.maxpool(self.conv1(x)))
        return result


def stage_modules(_options: ShuffleNetV2Options) -> tuple[str, ...]:
    """Return the modules that end a stage; the last one widens the third stage."""
    return "layers.0", "layers.1", "layers.2", "layers.3"


def describe(options: ShuffleNetV2Options) -> str:
    """Return the printed name."""
    factor = options.widen_factor
    return "ShuffleNetV2" if factor == 1 else f"ShuffleNetV2(w={factor:g})"


def recognise(shapes: Shapes) -> dict[str, Any] | None:
    """Return the options of a ShuffleNetV2 with these tensors, or None."""
    halves = [shapes.get(f"layers.{n}.0.branch2.2.conv.weight", (0,))[0] for n in (0, 1, 2)]
    widths = tuple(2 * half for half in halves)
    for factor, channels in _CHANNELS.items():
        if channels[:3] == widths:
            return {"widen_factor": factor}
    return None
