"""Lite-HRNet (Yu et al., arXiv:2104.06403) with the parameter names of MMPose and its repository.

Numbers: `mmpose/models/backbones/litehrnet.py` of MMPose 1.3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from posebench.errors import SpecError
from posebench.networks.backbones.branches import (
    add_branch,
    convolve_separably,
    doubling,
    make_fuse_layers,
    make_transition,
)
from posebench.networks.backbones.conv_modules import ConvModule, SqueezeExcitation
from posebench.networks.backbones.shufflenet_v2 import ShuffleBlock
from posebench.networks.shapes import Shapes, count_numbers

_STEM_CHANNELS = 32
_BASE_CHANNELS = 40
# Exchange modules of the stages 0, 1 and 2, which have 2, 3 and 4 branches.
_MODULES = {18: (2, 4, 2), 30: (3, 8, 3)}
_BLOCKS = 2
_CROSS_RATIO, _SPATIAL_RATIO = 8, 4


@dataclass(frozen=True)
class LiteHRNetOptions:
    """Options of the family `litehrnet`; `naive` blocks are ShuffleNetV2's, without weighting."""

    depth: int = 18
    base_channels: int = _BASE_CHANNELS
    blocks: Literal["lite", "naive"] = "lite"

    def __post_init__(self) -> None:
        if self.depth not in _MODULES:
            raise SpecError(
                f"There is no Lite-HRNet of depth {self.depth}.",
                hint=f"Valid depths: {', '.join(map(str, _MODULES))}.",
            )
        if self.base_channels < 2 * _SPATIAL_RATIO or self.base_channels % 2:
            raise SpecError(
                f"A Lite-HRNet cannot have {self.base_channels} base_channels.",
                hint=f"They must be even and at least {2 * _SPATIAL_RATIO}.",
            )


class CrossResolutionWeighting(nn.Module):
    """Weight the channels of all branches, at each place, by gates computed from all of them."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.channels = list(channels)
        total, hidden = sum(channels), sum(channels) // _CROSS_RATIO
        self.conv1 = ConvModule(total, hidden, 1)
        self.conv2 = ConvModule(hidden, total, 1, activation=nn.Sigmoid)

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        """Map one (N, C, H, W) of each branch to the same shapes."""
        coarsest = (inputs[-1].shape[-2], inputs[-1].shape[-1])
        pooled = [functional.adaptive_avg_pool2d(x, coarsest) for x in inputs[:-1]]
        gates = self.conv2(self.conv1(torch.cat([*pooled, inputs[-1]], dim=1)))
        return [
            x * functional.interpolate(gate, size=x.shape[-2:], mode="nearest")
            for x, gate in zip(inputs, gates.split(self.channels, dim=1), strict=True)
        ]


class ConditionalChannelWeighting(nn.Module):
    """Weight, filter and weight again half the channels of each branch, then shuffle them."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        halves = tuple(width // 2 for width in channels)
        self.cross_resolution_weighting = CrossResolutionWeighting(halves)
        self.depthwise_convs = nn.ModuleList(
            ConvModule(half, half, 3, groups=half, activation=None) for half in halves
        )
        self.spatial_weighting = nn.ModuleList(
            SqueezeExcitation(half, _SPATIAL_RATIO, nn.Sigmoid()) for half in halves
        )

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        """Map one (N, C, H, W) of each branch to the same shapes."""
        kept, rest = zip(*(x.chunk(2, dim=1) for x in inputs), strict=True)
        changed = self.cross_resolution_weighting(list(rest))
        layers = zip(self.depthwise_convs, self.spatial_weighting, strict=True)
        changed = [weight(conv(x)) for x, (conv, weight) in zip(changed, layers, strict=True)]
        return [
            functional.channel_shuffle(torch.cat(pair, dim=1), 2)
            for pair in zip(kept, changed, strict=True)
        ]


class LiteHRModule(nn.Module):
    """Blocks in or across the branches, then sums over the branches, each resized to the others."""

    def __init__(self, channels: tuple[int, ...], naive: bool) -> None:
        super().__init__()
        self.naive = naive
        self.layers: Any = (
            nn.ModuleList(
                nn.Sequential(*(ShuffleBlock(width, width, 1) for _ in range(_BLOCKS)))
                for width in channels
            )
            if naive
            else nn.Sequential(*(ConditionalChannelWeighting(channels) for _ in range(_BLOCKS)))
        )
        self.fuse_layers = make_fuse_layers(channels, len(channels), convolve_separably)
        self.relu = nn.ReLU()

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        """Map one (N, C, H, W) of each branch to the same shapes."""
        if self.naive:
            parts = [layer(x) for layer, x in zip(self.layers, inputs, strict=True)]
        else:
            parts = self.layers(inputs)
        return [self.relu(total) for total in self._fused(parts)]

    def _fused(self, parts: list[Tensor]) -> list[Tensor]:
        """Return the sums over the branches, as all published networks compute them.

        Upstream adds branch 0 twice and in place, so that the other outputs are computed from its
        sum.
        """
        sums: list[Tensor] = []
        for row in self.fuse_layers:
            layers: Any = row
            total = layers[0](sums[0] if sums else parts[0])
            total = total + total
            for layer, part in zip(layers[1:], parts[1:], strict=True):
                total = total + layer(part)
            sums.append(total)
        return sums


class Stem(nn.Module):
    """A convolution and a shuffled pair of separable convolutions; each halves the grid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = ConvModule(3, channels, 3, stride=2)
        self.branch1 = nn.Sequential(
            ConvModule(half, half, 3, stride=2, groups=half, activation=None),
            ConvModule(half, half, 1),
        )
        self.expand_conv = ConvModule(half, channels, 1)
        self.depthwise_conv = ConvModule(
            channels, channels, 3, stride=2, groups=channels, activation=None
        )
        self.linear_conv = ConvModule(channels, half, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, channels, H/4, W/4)."""
        one, other = self.conv1(x).chunk(2, dim=1)
        other = self.linear_conv(self.depthwise_conv(self.expand_conv(other)))
        return functional.channel_shuffle(torch.cat((self.branch1(one), other), dim=1), 2)


class SeparableConv(nn.Module):
    """A depthwise 3x3 convolution and a pointwise one, named as in mmcv."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise_conv = ConvModule(
            in_channels, in_channels, 3, groups=in_channels, activation=None
        )
        self.pointwise_conv = ConvModule(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, out_channels, H, W)."""
        result: Tensor = self.pointwise_conv(self.depthwise_conv(x))
        return result


class IterativeHead(nn.Module):
    """From the coarsest branch to the finest: add the coarser branch's output and convolve."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        upwards = channels[::-1]
        self.projects = nn.ModuleList(
            SeparableConv(old, new)
            for old, new in zip(upwards, (*upwards[1:], upwards[-1]), strict=True)
        )

    def forward(self, inputs: list[Tensor]) -> Tensor:
        """Map one (N, C, H, W) of each branch to the shape of the first."""
        result = self.projects[0](inputs[-1])
        for project, x in zip(self.projects[1:], inputs[-2::-1], strict=True):
            grown = functional.interpolate(
                result, size=x.shape[-2:], mode="bilinear", align_corners=True
            )
            result = project(x + grown)
        features: Tensor = result
        return features


class LiteHRNet(nn.Module):
    """Parallel branches of stride 4, 8, 16 and 32; the features are those of stride 4."""

    def __init__(self, options: LiteHRNetOptions) -> None:
        super().__init__()
        self.stem = Stem(_STEM_CHANNELS)
        channels: tuple[int, ...] = (_STEM_CHANNELS,)
        counts = _MODULES[options.depth]
        self._stages = range(len(counts))
        for index, count in enumerate(counts):
            widths = doubling(options.base_channels, index + 2)
            self.add_module(
                f"transition{index}", make_transition(channels, widths, convolve_separably)
            )
            modules = (LiteHRModule(widths, options.blocks == "naive") for _ in range(count))
            self.add_module(f"stage{index}", nn.Sequential(*modules))
            channels = widths
        self.head_layer = IterativeHead(channels)
        self.out_channels = options.base_channels
        self.stride = 4

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W), sides multiples of 32, to (N, out_channels, H/4, W/4)."""
        branches = [self.stem(x)]
        for index in self._stages:
            branches = add_branch(self.get_submodule(f"transition{index}"), branches)
            branches = self.get_submodule(f"stage{index}")(branches)
        features: Tensor = self.head_layer(branches)
        return features


def stage_modules(options: LiteHRNetOptions) -> tuple[str, ...]:
    """Return the modules that end a stage; the last one joins the branches."""
    return (*(f"stage{index}" for index in range(len(_MODULES[options.depth]))), "head_layer")


def describe(options: LiteHRNetOptions) -> str:
    """Return the printed name, as in the paper."""
    width = "" if options.base_channels == _BASE_CHANNELS else f"(w={options.base_channels})"
    kind = "Naive-Lite" if options.blocks == "naive" else "Lite"
    return f"{kind}-HRNet-{options.depth}{width}"


def recognise(shapes: Shapes) -> dict[str, Any] | None:
    """Return the options of a Lite-HRNet with these tensors, or None."""
    last = shapes.get("head_layer.projects.3.pointwise_conv.conv.weight")
    if last is None or "stage0.0.fuse_layers.0.1.0.weight" not in shapes:
        return None
    modules = tuple(count_numbers(shapes, rf"stage{index}\.(\d+)\.") for index in (0, 1, 2))
    naive = "stage0.0.layers.0.0.branch2.0.conv.weight" in shapes
    for depth, counts in _MODULES.items():
        if counts == modules:
            options: dict[str, Any] = {"depth": depth}
            if last[0] != _BASE_CHANNELS:
                options["base_channels"] = last[0]
            if naive:
                options["blocks"] = "naive"
            return options
    return None
