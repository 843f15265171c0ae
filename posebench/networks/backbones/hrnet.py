"""HRNet (Sun et al., arXiv:1902.09212) with the names and strides of MMPose and its own repository.

The last stage fuses and returns only its branch of highest resolution (`multiscale_output=False`).
Numbers: `mmpose/models/backbones/hrnet.py` of MMPose 1.3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from posebench.errors import SpecError
from posebench.networks.backbones.branches import (
    BranchedNetwork,
    BranchPlan,
    ExchangeModule,
    convolve,
    make_fuse_layers,
)
from posebench.networks.backbones.resnet import BasicBlock, ResNetOptions
from posebench.networks.shapes import Shapes, count_numbers

_BLOCKS = 4
_MODULES = {2: 1, 3: 4, 4: 3}
_PLAIN = ResNetOptions()


@dataclass(frozen=True)
class HRNetOptions:
    """Options of the family `hrnet`: channels of the branch of highest resolution."""

    width: int = 32

    def __post_init__(self) -> None:
        if self.width < 1:
            raise SpecError(f"An HRNet needs a width of at least 1, not {self.width}.")


def build(options: HRNetOptions) -> BranchedNetwork:
    """Build an HRNet whose features are those of its highest resolution."""
    return BranchedNetwork(BranchPlan(options.width, _BLOCKS, _MODULES, _module))


def _module(channels: tuple[int, ...], outputs: int) -> ExchangeModule:
    """Build residual blocks in each branch and the layers that fuse them."""
    branches = (
        nn.Sequential(*(BasicBlock(width, width, 1, _PLAIN) for _ in range(_BLOCKS)))
        for width in channels
    )
    return ExchangeModule(branches, make_fuse_layers(channels, outputs, convolve))


def stage_modules(_options: HRNetOptions) -> tuple[str, ...]:
    """Return the modules that end a stage, each with one more branch."""
    return tuple(f"stage{number}" for number in _MODULES)


def describe(options: HRNetOptions) -> str:
    """Return the printed name, as in the paper."""
    return f"HRNet-W{options.width}"


def recognise(shapes: Shapes) -> dict[str, Any] | None:
    """Return the options of an HRNet with these tensors, or None."""
    first = shapes.get("transition1.0.0.weight")
    if first is None or "stage2.0.branches.0.0.conv1.weight" not in shapes:
        return None
    modules = {number: count_numbers(shapes, rf"stage{number}\.(\d+)\.") for number in _MODULES}
    several = "stage4.2.fuse_layers.1.0.0.0.weight" in shapes
    return {"width": first[0]} if modules == _MODULES and not several else None
