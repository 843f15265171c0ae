"""The common parts of the HRNet families: parallel branches, each at half the previous resolution.

Names and layers are those of MMPose's `hrnet.py`, `litehrnet.py` and `hrformer.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from posebench.networks.backbones.resnet import Bottleneck, ResNetOptions

_STEM_CHANNELS = 64
_PLAIN = ResNetOptions()

Convolve = Callable[[int, int, int], nn.Sequential]
"""Builds layers from (in_channels, out_channels, stride); the last one is a ReLU."""


def convolve(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Build a 3x3 convolution with BatchNorm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def convolve_separably(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Build a depthwise 3x3 and a pointwise convolution with BatchNorms and a final ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, stride, 1, groups=in_channels, bias=False),
        nn.BatchNorm2d(in_channels),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


@dataclass(frozen=True)
class BranchPlan:
    """The differences between HRNet and HRFormer.

    `width` is the number of channels of the first branch, doubled in each next one. `modules` is
    the number of exchange modules of a stage, by its number of branches. `make_module` builds one
    from the channels of its branches and the number of its outputs.
    """

    width: int
    stem_blocks: int
    modules: Mapping[int, int]
    make_module: Callable[[tuple[int, ...], int], nn.Module]


class ExchangeModule(nn.Module):
    """Layers in each branch, then sums over the branches, each in the shape of one branch."""

    def __init__(self, branches: Iterable[nn.Module], fuse_layers: nn.ModuleList) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.fuse_layers = fuse_layers
        self.relu = nn.ReLU(inplace=True)

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        """Map one (N, C, H, W) per branch to one per output, shaped like the first branches."""
        parts = [branch(x) for branch, x in zip(self.branches, inputs, strict=True)]
        return [self.relu(_fuse(layers, parts)) for layers in self.fuse_layers]


class BranchedNetwork(nn.Module):
    """Parallel branches of stride 4, 8, 16 and 32; the features are those of stride 4."""

    def __init__(self, plan: BranchPlan) -> None:
        super().__init__()
        stem = _STEM_CHANNELS
        self.conv1 = nn.Conv2d(3, stem, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.conv2 = nn.Conv2d(stem, stem, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU(inplace=True)
        inputs = (stem, *(4 * stem,) * (plan.stem_blocks - 1))
        self.layer1 = nn.Sequential(*(Bottleneck(width, stem, 1, _PLAIN) for width in inputs))
        channels: tuple[int, ...] = (4 * stem,)
        self._stages = tuple(plan.modules)
        for number, count in plan.modules.items():
            widths = doubling(plan.width, number)
            transition = make_transition(channels, widths, convolve)
            outputs = [number] * count
            if number == self._stages[-1]:
                outputs[-1] = 1
            stage = nn.Sequential(*(plan.make_module(widths, kept) for kept in outputs))
            self.add_module(f"transition{number - 1}", transition)
            self.add_module(f"stage{number}", stage)
            channels = widths
        self.out_channels = plan.width
        self.stride = 4

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W), sides multiples of 32, to (N, out_channels, H/4, W/4)."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        branches = [self.layer1(x)]
        for number in self._stages:
            branches = add_branch(self.get_submodule(f"transition{number - 1}"), branches)
            branches = self.get_submodule(f"stage{number}")(branches)
        features: Tensor = branches[0]
        return features


def doubling(width: int, count: int) -> tuple[int, ...]:
    """Return the channels of `count` branches; the first has `width`."""
    return tuple(width * 2**branch for branch in range(count))


def make_transition(
    before: tuple[int, ...], after: tuple[int, ...], build: Convolve
) -> nn.ModuleList:
    """Build the layers before a stage that has one more branch, for `add_branch`."""
    layers: list[nn.Module] = [
        nn.Identity() if old == new else build(old, new, 1)
        for old, new in zip(before, after[:-1], strict=True)
    ]
    return nn.ModuleList([*layers, nn.Sequential(build(before[-1], after[-1], 2))])


def add_branch(transition: Any, branches: list[Tensor]) -> list[Tensor]:
    """Return the branches (N, C, H, W) of the next stage; the new one comes from the coarsest."""
    sources = (*branches, branches[-1])
    return [layer(x) for layer, x in zip(transition, sources, strict=True)]


def make_fuse_layers(
    channels: tuple[int, ...],
    outputs: int,
    build: Convolve,
    mode: Literal["nearest", "bilinear"] = "nearest",
) -> nn.ModuleList:
    """Build the layers that turn branch j into the shape of output i, at index [i][j]."""
    return nn.ModuleList(
        nn.ModuleList(
            _enlarge(channels, source, target, mode)
            if source > target
            else _shrink(channels, source, target, build)
            for source in range(len(channels))
        )
        for target in range(outputs)
    )


def _fuse(layers: Any, branches: list[Tensor]) -> Tensor:
    """Return the sum of all branches, each through its layer, in the shape of one output."""
    total: Tensor = layers[0](branches[0])
    for layer, x in zip(layers[1:], branches[1:], strict=True):
        total = total + layer(x)
    return total


def _enlarge(channels: tuple[int, ...], source: int, target: int, mode: str) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels[source], channels[target], 1, bias=False),
        nn.BatchNorm2d(channels[target]),
        nn.Upsample(scale_factor=2 ** (source - target), mode=mode),
    )


def _shrink(channels: tuple[int, ...], source: int, target: int, build: Convolve) -> nn.Module:
    if source == target:
        return nn.Identity()
    width = channels[source]
    steps = [build(width, width, 2) for _ in range(target - source - 1)]
    # The last step feeds a sum, so it has no activation.
    return nn.Sequential(*steps, build(width, channels[target], 2)[:-1])
