"""ResNet (He et al., arXiv:1512.03385) with the names and strides of torchvision and MMPose.

The stride of a bottleneck sits on its 3x3 convolution (MMPose `style='pytorch'`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from posebench.backbones.shapes import Shapes, count_numbers
from posebench.errors import SpecError

_BASE_CHANNELS = 64
_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
_FIRST_BOTTLENECK_DEPTH = 50


@dataclass(frozen=True)
class ResNetOptions:
    """Options of the family `resnet`; `out_stage` 3 stops at stride 16, 4 at stride 32."""

    depth: int = 50
    base_channels: int = _BASE_CHANNELS
    out_stage: int = 4

    def __post_init__(self) -> None:
        if self.base_channels < 1 or self.out_stage not in (3, 4):
            raise SpecError("A ResNet needs base_channels >= 1 and out_stage 3 or 4.")
        if self.depth not in _BLOCKS:
            raise SpecError(
                f"There is no ResNet of depth {self.depth}.",
                hint=f"Valid depths: {', '.join(map(str, _BLOCKS))}.",
            )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _downsample(in_channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, width, H/stride, W/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        result: Tensor = self.relu(self.bn2(self.conv2(y)) + shortcut)
        return result


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = width * self.expansion
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _downsample(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, 4*width, H/stride, W/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        result: Tensor = self.relu(self.bn3(self.conv3(y)) + shortcut)
        return result


class ResNet(nn.Module):
    """The stages of a ResNet without its classifier."""

    def __init__(self, options: ResNetOptions) -> None:
        super().__init__()
        block = Bottleneck if options.depth >= _FIRST_BOTTLENECK_DEPTH else BasicBlock
        base, counts = options.base_channels, _BLOCKS[options.depth]
        self.conv1 = nn.Conv2d(3, base, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels, self.stride = base, 4
        self._stages = tuple(f"layer{number}" for number in range(1, options.out_stage + 1))
        for index, name in enumerate(self._stages):
            width, stride = base * 2**index, 1 if index == 0 else 2
            self.add_module(name, _stage(block, channels, width, counts[index], stride))
            channels, self.stride = width * block.expansion, self.stride * stride
        self.out_channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, out_channels, H/stride, W/stride), sides rounded up."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for name in self._stages:
            x = self.get_submodule(name)(x)
        return x


def _stage(
    block: type[BasicBlock] | type[Bottleneck], channels: int, width: int, count: int, stride: int
) -> nn.Sequential:
    """Build `count` blocks, the first of which has the stride."""
    blocks: list[nn.Module] = [block(channels, width, stride)]
    blocks += [block(width * block.expansion, width, 1) for _ in range(count - 1)]
    return nn.Sequential(*blocks)


def _downsample(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    """Build the projection of a shortcut, where the shapes differ."""
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
    )


def describe(options: ResNetOptions) -> str:
    """Return the printed name, as in papers."""
    width = "" if options.base_channels == _BASE_CHANNELS else f"(w={options.base_channels})"
    stage = "" if options.out_stage == 4 else f"/stage{options.out_stage}"
    return f"ResNet-{options.depth}{width}{stage}"


def recognise(shapes: Shapes) -> dict[str, Any] | None:
    """Return the options of a ResNet with these tensors, or None."""
    stem = shapes.get("conv1.weight")
    if stem is None or "layer1.0.conv1.weight" not in shapes or stem[2:] != (7, 7):
        return None
    blocks = tuple(count_numbers(shapes, rf"layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4))
    out_stage = 4 if blocks[3] else 3
    bottleneck = "layer1.0.conv3.weight" in shapes
    for depth, counts in _BLOCKS.items():
        same_block = (depth >= _FIRST_BOTTLENECK_DEPTH) == bottleneck
        if same_block and counts[:out_stage] == blocks[:out_stage]:
            options: dict[str, Any] = {"depth": depth}
            if stem[0] != _BASE_CHANNELS:
                options["base_channels"] = stem[0]
            if out_stage != 4:
                options["out_stage"] = out_stage
            return options
    return None
