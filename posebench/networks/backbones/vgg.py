"""VGG (arXiv:1409.1556), with or without BatchNorm, with the names of MMPose's `vgg.py`."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from posebench.networks.backbones.residual import check_depth
from posebench.networks.shapes import Shapes

_CHANNELS = (64, 128, 256, 512, 512)
_COUNTS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


@dataclass(frozen=True)
class VGGOptions:
    """Options of the family `vgg`."""

    depth: int = 16
    batch_norm: bool = True

    def __post_init__(self) -> None:
        check_depth("VGG", self.depth, _COUNTS)


class VGG(nn.Module):
    """The convolutions of a VGG; stride 32, sides rounded down."""

    stride = 32
    out_channels = _CHANNELS[-1]

    def __init__(self, options: VGGOptions) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width, count in zip(_CHANNELS, _COUNTS[options.depth], strict=True):
            for _ in range(count):
                layers.append(_conv(channels, width, options.batch_norm))
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, 512, H/32, W/32), sides rounded down."""
        result: Tensor = self.features(x)
        return result


def _conv(in_channels: int, out_channels: int, batch_norm: bool) -> nn.Sequential:
    """Build a 3x3 convolution, with a bias even before BatchNorm, and its activation."""
    layers = OrderedDict[str, nn.Module](conv=nn.Conv2d(in_channels, out_channels, 3, padding=1))
    if batch_norm:
        layers["bn"] = nn.BatchNorm2d(out_channels)
    layers["activate"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


def _conv_places(depth: int) -> tuple[int, ...]:
    """Return the positions of the convolutions in `features`; pooling follows each stage's last."""
    places: list[int] = []
    for stage, count in enumerate(_COUNTS[depth]):
        places += range(len(places) + stage, len(places) + stage + count)
    return tuple(places)


def stage_modules(options: VGGOptions) -> tuple[str, ...]:
    """Return the modules that end a stage: the poolings."""
    ends = itertools.accumulate(count + 1 for count in _COUNTS[options.depth])
    return tuple(f"features.{end - 1}" for end in ends)


def describe(options: VGGOptions) -> str:
    """Return the printed name."""
    return f"VGG-{options.depth}" + ("-bn" if options.batch_norm else "")


def recognise(shapes: Shapes) -> dict[str, Any] | None:
    """Return the options of a VGG with these tensors, or None."""
    found = {name for name in shapes if name.endswith(".conv.weight")}
    for depth in _COUNTS:
        if found == {f"features.{place}.conv.weight" for place in _conv_places(depth)}:
            return {"depth": depth, "batch_norm": "features.0.bn.weight" in shapes}
    return None
