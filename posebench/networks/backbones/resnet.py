"""ResNet (arXiv:1512.03385), ResNetV1d (1812.01187), ResNeXt (1611.05431), SE-ResNet (1709.01507).

One architecture with options, under the names of torchvision and of MMPose's `resnet.py`,
`resnext.py` and `seresnet.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from posebench.errors import SpecError
from posebench.networks.backbones.conv_modules import SqueezeExcitation
from posebench.networks.backbones.residual import (
    BOTTLENECK_COUNTS,
    ResidualNetwork,
    ResidualPlan,
    check_depth,
    count_blocks,
    make_shortcut,
)
from posebench.networks.shapes import Shapes

_BASIC_COUNTS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
_COUNTS = {**_BASIC_COUNTS, **BOTTLENECK_COUNTS}
_BASE_CHANNELS = 64
_SE_RATIO = 16


@dataclass(frozen=True)
class ResNetOptions:
    """Options of the family `resnet`; `out_stage` 3 stops at stride 16, 4 at stride 32.

    ResNetV1d has `deep_stem` and `avg_down`, ResNeXt `groups` of `width_per_group` channels,
    SE-ResNet an `se_ratio`, the squeeze ratio of its gates. In the `style` of Caffe, the first
    convolution of a bottleneck has the stride instead of the second; names and shapes are the same.
    """

    depth: int = 50
    base_channels: int = _BASE_CHANNELS
    out_stage: int = 4
    deep_stem: bool = False
    avg_down: bool = False
    groups: int = 1
    width_per_group: int = 4
    se_ratio: int | None = None
    style: Literal["pytorch", "caffe"] = "pytorch"

    def __post_init__(self) -> None:
        check_depth("ResNet", self.depth, _COUNTS)
        if self.base_channels < 1 or self.out_stage not in (3, 4):
            raise SpecError("A ResNet needs base_channels >= 1 and out_stage 3 or 4.")
        ratio = 1 if self.se_ratio is None else self.se_ratio
        if min(self.groups, self.width_per_group, ratio) < 1:
            raise SpecError("A ResNet needs groups, width_per_group and se_ratio of 1 or more.")
        special = self.groups > 1 or self.se_ratio is not None or self.style != "pytorch"
        if self.depth in _BASIC_COUNTS and special:
            raise SpecError(
                f"A ResNet of depth {self.depth} has neither groups, gates nor Caffe's style.",
                hint=f"ResNeXt and SE-ResNet have depth {', '.join(map(str, BOTTLENECK_COUNTS))}.",
            )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, in_channels: int, width: int, stride: int, options: ResNetOptions) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = make_shortcut(in_channels, width, stride, options.avg_down)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, width, H/stride, W/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        result: Tensor = self.relu(self.bn2(self.conv2(y)) + shortcut)
        return result


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, an optional gate, and a shortcut."""

    def __init__(self, in_channels: int, width: int, stride: int, options: ResNetOptions) -> None:
        super().__init__()
        out_channels, groups = 4 * width, options.groups
        if groups > 1:
            width = groups * options.width_per_group * width // options.base_channels
        first, second = (1, stride) if options.style == "pytorch" else (stride, 1)
        self.conv1 = nn.Conv2d(in_channels, width, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, second, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.se_layer: nn.Module | None = None
        if options.se_ratio is not None:
            self.se_layer = SqueezeExcitation(out_channels, options.se_ratio, nn.Sigmoid())
        self.downsample = make_shortcut(in_channels, out_channels, stride, options.avg_down)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, 4*width, H/stride, W/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        if self.se_layer is not None:
            y = self.se_layer(y)
        result: Tensor = self.relu(y + shortcut)
        return result


def build(options: ResNetOptions) -> ResidualNetwork:
    """Build the stages of a ResNet without its classifier."""
    basic = options.depth in _BASIC_COUNTS
    return ResidualNetwork(
        ResidualPlan(
            counts=_COUNTS[options.depth][: options.out_stage],
            make_block=partial(BasicBlock if basic else Bottleneck, options=options),
            expansion=1 if basic else 4,
            base_channels=options.base_channels,
            deep_stem=options.deep_stem,
        )
    )


def stage_modules(options: ResNetOptions) -> tuple[str, ...]:
    """Return the modules that end a stage."""
    return tuple(f"layer{number}" for number in range(1, options.out_stage + 1))


def describe(options: ResNetOptions) -> str:
    """Return the printed name, as in papers: `SEResNet-50`, `ResNeXt-101(32x4d)`."""
    v1d = options.deep_stem and options.avg_down
    name = "ResNeXt" if options.groups > 1 else "ResNet"
    name = ("SE" if options.se_ratio else "") + name + ("V1d" if v1d else "")
    details = {
        f"w={options.base_channels}": options.base_channels != _BASE_CHANNELS,
        f"{options.groups}x{options.width_per_group}d": options.groups > 1,
        f"ratio={options.se_ratio}": options.se_ratio not in (None, _SE_RATIO),
        "deep_stem": options.deep_stem and not v1d,
        "avg_down": options.avg_down and not v1d,
        options.style: options.style != "pytorch",
    }
    shown = ",".join(detail for detail, special in details.items() if special)
    stage = "" if options.out_stage == 4 else f"/stage{options.out_stage}"
    return f"{name}-{options.depth}" + (f"({shown})" if shown else "") + stage


def recognise(shapes: Shapes) -> dict[str, Any] | None:
    """Return the options of a ResNet with these tensors, or None."""
    deep = "stem.2.conv.weight" in shapes
    stem = shapes.get("stem.2.conv.weight" if deep else "conv1.weight", ())
    conv2 = shapes.get("layer1.0.conv2.weight", ())
    if stem[2:] != ((3, 3) if deep else (7, 7)) or conv2[2:] != (3, 3):
        return None
    bottleneck = "layer1.0.conv3.weight" in shapes
    blocks = count_blocks(shapes)
    for depth, counts in (BOTTLENECK_COUNTS if bottleneck else _BASIC_COUNTS).items():
        if len(blocks) >= 3 and counts[: len(blocks)] == blocks:
            found: dict[str, Any] = {
                "depth": depth,
                "base_channels": stem[0],
                "out_stage": len(blocks),
                "deep_stem": deep,
                "avg_down": len(shapes.get("layer2.0.downsample.1.weight", ())) == 4,
            }
            if bottleneck:
                found |= _groups(conv2) | _gates(shapes)
            defaults = ResNetOptions()
            return {"depth": depth} | {
                name: value for name, value in found.items() if value != getattr(defaults, name)
            }
    return None


def _groups(conv2: tuple[int, ...]) -> dict[str, int]:
    """Return the groups and their width, from a 3x3 convolution of the first stage."""
    groups = conv2[0] // conv2[1]
    return {"groups": groups, "width_per_group": conv2[1]} if groups > 1 else {}


def _gates(shapes: Shapes) -> dict[str, int]:
    """Return the squeeze ratio from the gate of the first block, if it has one."""
    squeeze = shapes.get("layer1.0.se_layer.conv1.conv.weight")
    return {} if squeeze is None else {"se_ratio": squeeze[1] // squeeze[0]}
