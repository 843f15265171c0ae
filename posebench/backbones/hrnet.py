"""HRNet (Sun et al., arXiv:1902.09212) with the names and strides of MMPose and its own repository.

Of the last stage's branches only the one of highest resolution is fused and put out
(`multiscale_output=False`). Numbers: `mmpose/models/backbones/hrnet.py` of MMPose 1.3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from posebench.backbones.resnet import BasicBlock, Bottleneck, ResNetOptions
from posebench.backbones.shapes import Shapes, count_numbers
from posebench.errors import SpecError

_PLAIN = ResNetOptions()
_STEM_CHANNELS = 64
_STEM_BLOCKS = 4
_BRANCH_BLOCKS = 4
# Exchange modules of the stages 2, 3 and 4, which have as many branches as their number.
_MODULES = {2: 1, 3: 4, 4: 3}


@dataclass(frozen=True)
class HRNetOptions:
    """Options of the family `hrnet`: channels of the branch of highest resolution."""

    width: int = 32

    def __post_init__(self) -> None:
        if self.width < 1:
            raise SpecError(f"An HRNet needs a width of at least 1, not {self.width}.")


class HRModule(nn.Module):
    """Residual blocks in each branch, then sums over the branches, each resized to the others.

    `channels` are those of the branches; `outputs` is how many of them, from the first, go on.
    """

    def __init__(self, channels: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width, width, 1, _PLAIN) for _ in range(_BRANCH_BLOCKS)))
            for width in channels
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_resized(channels, source, target) for source in range(len(channels)))
            for target in range(outputs)
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        """Map one (N, C, H, W) of each branch to the same shapes of the first `outputs`."""
        parts = [branch(x) for branch, x in zip(self.branches, inputs, strict=True)]
        return [self.relu(_fused(layers, parts)) for layers in self.fuse_layers]


class HRNet(nn.Module):
    """Branches of stride 4, 8, 16 and 32 side by side; the features are those of stride 4."""

    def __init__(self, options: HRNetOptions) -> None:
        super().__init__()
        stem = _STEM_CHANNELS
        self.conv1 = nn.Conv2d(3, stem, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.conv2 = nn.Conv2d(stem, stem, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU(inplace=True)
        channels: tuple[int, ...] = (4 * stem,)
        self.layer1 = nn.Sequential(
            Bottleneck(stem, stem, 1, _PLAIN),
            *(Bottleneck(channels[0], stem, 1, _PLAIN) for _ in range(_STEM_BLOCKS - 1)),
        )
        for number, modules in _MODULES.items():
            widths = tuple(options.width * 2**branch for branch in range(number))
            self.add_module(f"transition{number - 1}", _transition(channels, widths))
            kept = [number] * modules
            if number == max(_MODULES):
                kept[-1] = 1
            stage = nn.Sequential(*(HRModule(widths, outputs) for outputs in kept))
            self.add_module(f"stage{number}", stage)
            channels = widths
        self.out_channels = options.width
        self.stride = 4

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W), sides multiples of 32, to (N, out_channels, H/4, W/4)."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        branches = [self.layer1(x)]
        for number in _MODULES:
            transition: Any = self.get_submodule(f"transition{number - 1}")
            # The new branch is made from the coarsest one.
            sources = (*branches, branches[-1])
            branches = [layer(y) for layer, y in zip(transition, sources, strict=True)]
            branches = self.get_submodule(f"stage{number}")(branches)
        features: Tensor = branches[0]
        return features


def _fused(layers: Any, parts: list[Tensor]) -> Tensor:
    """Return the sum of all branches, each through its layer."""
    total: Tensor = layers[0](parts[0])
    for layer, part in zip(layers[1:], parts[1:], strict=True):
        total = total + layer(part)
    return total


def _resized(channels: tuple[int, ...], source: int, target: int) -> nn.Module:
    """Build what turns branch `source` into the shape of branch `target`."""
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(
            nn.Conv2d(channels[source], channels[target], 1, bias=False),
            nn.BatchNorm2d(channels[target]),
            nn.Upsample(scale_factor=2 ** (source - target), mode="nearest"),
        )
    steps = [
        _convolved(channels[source], channels[source], stride=2) for _ in range(target - source - 1)
    ]
    # The last step goes into a sum, so it has no activation.
    return nn.Sequential(*steps, _convolved(channels[source], channels[target], stride=2)[:2])


def _convolved(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Build a 3x3 convolution with BatchNorm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def _transition(before: tuple[int, ...], after: tuple[int, ...]) -> nn.ModuleList:
    """Build the layers in front of a stage: one more branch, the others widened where needed."""
    layers: list[nn.Module] = [
        nn.Identity() if old == new else _convolved(old, new, stride=1)
        for old, new in zip(before, after[:-1], strict=True)
    ]
    return nn.ModuleList([*layers, nn.Sequential(_convolved(before[-1], after[-1], stride=2))])


def describe(options: HRNetOptions) -> str:
    """Return the printed name, as in the paper."""
    return f"HRNet-W{options.width}"


def recognise(shapes: Shapes) -> dict[str, Any] | None:
    """Return the options of an HRNet with these tensors, or None."""
    first = shapes.get("transition1.0.0.weight")
    if first is None or "stage2.0.branches.0.0.conv1.weight" not in shapes:
        return None
    modules = {number: count_numbers(shapes, rf"stage{number}\.(\d+)\.") for number in _MODULES}
    return {"width": first[0]} if modules == _MODULES else None
