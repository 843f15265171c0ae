"""Where the cells and the bins of an input lie, and codes of these places.

Places are fractions of a side: bin j is at j / split_ratio pixels, and a cell stands for the middle
of its pixels, a * stride + (stride - 1) / 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from posebench.errors import SpecError
from posebench.networks.codecs import SimccCodec
from posebench.networks.grids import Bins, Grid, bins_at
from posebench.networks.heads.family import Surroundings
from posebench.networks.sizes import InputSize

Axes = tuple[Tensor, Tensor]
"""One tensor for x and one for y."""


@dataclass(frozen=True)
class Layout:
    """The stride of features, in pixels per cell, and the codec of the bins."""

    stride: int
    codec: SimccCodec

    def size(self, grid: Grid) -> InputSize:
        """Return the input size whose features have this grid."""
        return InputSize(grid.height * self.stride, grid.width * self.stride)

    def bins(self, grid: Grid) -> Bins:
        """Return the number of bins of an input whose features have this grid."""
        return bins_at(self.codec, self.size(grid))


def layout_of(around: Surroundings) -> Layout:
    """Return the layout of a head behind these features.

    Raises `SpecError` if the input's sides are no multiples of the stride.
    """
    assert isinstance(around.codec, SimccCodec)
    size, stride = around.size, around.stride
    if size.height % stride or size.width % stride:
        raise SpecError(
            f"A head for any size takes input sides that are multiples of {stride}, not {size}.",
            hint="Choose another input_size, or the head simcc.",
        )
    return Layout(stride, around.codec)


def grid_of(features: Tensor) -> Grid:
    """Return the grid of features (N, C, h, w), as plain numbers even while a graph is traced."""
    return Grid(int(features.shape[2]), int(features.shape[3]))


@cache
def bin_codes(layout: Layout, grid: Grid, highest: float, device: torch.device) -> Axes:
    """Return the code (bins, 4 highest + 2) of each bin, by `fourier_code`.

    Made once for a grid and a device, so that a captured graph may read it.
    """
    # Outside inference mode, in which a tensor can never be part of training afterwards.
    with torch.inference_mode(False):
        size = layout.size(grid)
        x, y = (torch.from_numpy(places) for places in layout.codec.places(size))
        codes = fourier_code(x / size.width, highest), fourier_code(y / size.height, highest)
        return codes[0].to(device), codes[1].to(device)


@cache
def cell_codes(layout: Layout, grid: Grid, highest: float, device: torch.device) -> Tensor:
    """Return the code (cells, 2 (4 highest + 2)) of each cell: its column's, then its row's.

    Made once for a grid and a device, so that a captured graph may read it.
    """
    with torch.inference_mode(False):
        middle = (layout.stride - 1) / 2
        rows, columns = (
            fourier_code(
                (torch.arange(count, device="cpu") * layout.stride + middle) / side, highest
            )
            for count, side in (
                (grid.height, grid.height * layout.stride),
                (grid.width, grid.width * layout.stride),
            )
        )
        across = columns.repeat(grid.height, 1)
        down = rows.repeat_interleave(grid.width, dim=0)
        return torch.cat((across, down), dim=1).to(device)


@cache
def size_code(layout: Layout, grid: Grid, device: torch.device) -> Tensor:
    """Return the octaves (2,) of the input's width and height above 64 pixels.

    Made once for a grid and a device, so that a captured graph may read it.
    """
    with torch.inference_mode(False):
        size = layout.size(grid)
        octaves = [math.log2(side / 64) for side in (size.width, size.height)]
        return torch.tensor(octaves, device=device)


def code_length(highest: float) -> int:
    """Return the length of a `fourier_code`."""
    return 2 * (round(2 * highest) + 1)


def fourier_code(places: Tensor, highest: float) -> Tensor:
    """Return cosines and sines (n, 4 highest + 2) of places (n,), at 0, 1/2, 1 … `highest` turns.

    A turn is the whole side.
    """
    turns = torch.arange(round(2 * highest) + 1, dtype=torch.float64, device="cpu") / 2
    angles = 2 * math.pi * places.double()[:, None] * turns
    return torch.cat((angles.cos(), angles.sin()), dim=1).float()


def without_offset(logits: Tensor) -> Tensor:
    """Return logits (N, K, bins) minus their median.

    A softmax does not feel an offset, so training leaves it free; yet the highest logit is a
    keypoint's score.
    """
    count = logits.shape[-1]
    # The largest half in order ends at the lower median. ONNX has no median.
    median = logits.detach().topk(count // 2 + 1, dim=-1).values[..., -1:]
    return logits - median
