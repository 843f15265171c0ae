"""Arithmetic of output grids: maps and bins at an input size, and the layers that they lock.

Every stride-2 layer of the backbones rounds up, so a grid is the input over the stride, rounded up.
AlexNet and VGG are exceptions; they have no published SimCC head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from posebench.networks.sizes import InputSize


@dataclass(frozen=True)
class Grid:
    """Height and width of maps, in cells."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.height * self.width


@dataclass(frozen=True)
class Bins:
    """Number of bins on each axis."""

    x: int
    y: int


@runtime_checkable
class Binned(Protocol):
    """A codec whose outputs are bins on each axis."""

    @property
    def bins_follow_size(self) -> bool:
        """Whether a larger input has more bins; if not, the same number spreads over it."""

    def bins(self, size: InputSize) -> tuple[int, int]:
        """Return the number of x and of y bins."""


@dataclass(frozen=True)
class SizeLockedLayer:
    """A linear layer of a head whose shape is fixed by the trained input size.

    `cells`: its inputs are the cells of a grid this many times as fine as that of the maps, or 0 if
    they are not cells. `bins`: its outputs are the bins of that axis.
    """

    name: str
    cells: int
    bins: Literal["x", "y"] | None


def grid_at(size: InputSize, stride: int, factor: int = 1) -> Grid:
    """Return the grid of features of this stride, each side times `factor`."""
    return Grid(-(-size.height // stride) * factor, -(-size.width // stride) * factor)


def bins_at(codec: Binned, size: InputSize) -> Bins:
    """Return the bins of an input size."""
    x, y = codec.bins(size)
    return Bins(x, y)
