"""AlexNet with the names and channels of torchvision and of MMPose's `alexnet.py`.

Its maps are smaller than input over stride: 7x5 for 256x192.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from posebench.networks.shapes import Shapes

_CHANNELS = (64, 192, 384, 256, 256)
_LAYERS = (0, 3, 6, 8, 10)


@dataclass(frozen=True)
class AlexNetOptions:
    """The family `alexnet` has no options."""


class AlexNet(nn.Module):
    """The convolutions of an AlexNet."""

    stride = 32
    out_channels = _CHANNELS[-1]

    def __init__(self, _options: AlexNetOptions) -> None:
        super().__init__()
        a, b, c, d, e = _CHANNELS
        self.features = nn.Sequential(
            nn.Conv2d(3, a, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(a, b, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(b, c, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(c, d, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(d, e, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, 256, h, w): 7x5 for 256x192."""
        result: Tensor = self.features(x)
        return result


def stage_modules(_options: AlexNetOptions) -> tuple[str, ...]:
    """Return the modules that end a stage: the poolings."""
    return "features.2", "features.5", "features.12"


def describe(_options: AlexNetOptions) -> str:
    """Return the printed name."""
    return "AlexNet"


def recognise(shapes: Shapes) -> dict[str, Any] | None:
    """Return empty options for an AlexNet's tensors, or None for another family's."""
    found = tuple(shapes.get(f"features.{place}.weight", (0,))[0] for place in _LAYERS)
    return {} if found == _CHANNELS else None
