"""A SimCC head whose position vectors are functions of the coordinate, on both sides.

A keypoint's map weighs vectors of the cells' places; their mean is compared with vectors of the
bins' places. For one input size this is a plain table, which is what runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from posebench.networks.codecs import SimccCodec
from posebench.networks.grids import Grid
from posebench.networks.heads.family import HeadFamily, Surroundings
from posebench.networks.heads.layers import check_counts, final_layer
from posebench.networks.heads.losses import divergence_of_bins
from posebench.networks.heads.size_free.layout import (
    Layout,
    bin_codes,
    cell_codes,
    code_length,
    layout_of,
    without_offset,
)
from posebench.networks.heads.size_free.tables import TableHead, Tables, fix
from posebench.networks.shapes import Shapes
from posebench.networks.spec import BackboneSpec

# Turns over a side of the highest frequencies: bins need fine ones, cells only coarse ones.
BIN_TURNS, CELL_TURNS = 16.0, 2.0
CELL_STD = 0.3


@dataclass(frozen=True)
class SimCCCoordinatesOptions:
    """Options of the kind `simcc-coordinates`.

    `channels` is the length of the vectors that are compared, `hidden` the width of the network
    that makes those of the cells.
    """

    final_layer_kernel: int = 1
    channels: int = 64
    hidden: int = 128

    def __post_init__(self) -> None:
        check_counts([self.final_layer_kernel, self.channels, self.hidden])


class BinVectors(nn.Module):
    """A vector and an offset for each bin of one axis, made from the code of its place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.vector = nn.Linear(code_length(BIN_TURNS), channels)
        self.offset = nn.Linear(code_length(BIN_TURNS), 1, bias=False)
        self.added = nn.Parameter(torch.zeros(channels))

    def initialise(self, _generator: torch.Generator) -> None:
        """Set the vector that is added to all that ask to 0."""
        self.added.zero_()

    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Map codes (bins, F) to vectors (bins, C), over the root of C, and offsets (bins,)."""
        vectors = self.vector(codes) / math.sqrt(self.vector.out_features)
        return vectors, vectors @ self.added + self.offset(codes)[:, 0]


def initialise_vectors(bins: BinVectors, generator: torch.Generator) -> None:
    """Give each bin's code a vector whose values have a standard deviation of about 1."""
    weight = bins.vector.weight
    # Half of the squares of cosines and sines are the number of frequencies.
    std = 1 / math.sqrt(weight.shape[1] / 2)
    weight.copy_(torch.randn(weight.shape, generator=generator) * std)


class CoordinateTables(nn.Module):
    """The tables of any size, made from the places of its cells and bins."""

    def __init__(self, options: SimCCCoordinatesOptions, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.cells = nn.Sequential(
            nn.Linear(2 * code_length(CELL_TURNS), options.hidden),
            nn.GELU(),
            nn.Linear(options.hidden, 2 * options.channels),
        )
        self.x = BinVectors(options.channels)
        self.y = BinVectors(options.channels)

    def at(self, grid: Grid) -> Tables:
        """Return the tables for an input whose features have this grid."""
        device = self.x.added.device
        for_x, for_y = self.cells(cell_codes(self.layout, grid, CELL_TURNS, device)).chunk(2, dim=1)
        codes_x, codes_y = bin_codes(self.layout, grid, BIN_TURNS, device)
        (x, offsets_x), (y, offsets_y) = self.x(codes_x), self.y(codes_y)
        return (x @ for_x.T / grid.cells, offsets_x), (y @ for_y.T / grid.cells, offsets_y)


def build(options: SimCCCoordinatesOptions, around: Surroundings) -> TableHead:
    """Build the head."""
    final = final_layer(options.final_layer_kernel, around.in_channels, around.keypoints)
    return TableHead(final, CoordinateTables(options, layout_of(around)), without_offset)


def recognise(shapes: Shapes, _backbone: BackboneSpec | None) -> dict[str, Any] | None:
    """Return the options of a head whose tables are made from codes, or None."""
    if not {"tables.x.vector.weight", "tables.cells.0.weight"} <= set(shapes):
        return None
    return {
        "final_layer_kernel": shapes["final_layer.weight"][-1],
        "channels": shapes["tables.x.vector.weight"][0],
        "hidden": shapes["tables.cells.0.weight"][0],
    }


def initialise(head: TableHead, generator: torch.Generator) -> None:
    """Give bins vectors of about equal length, and cells somewhat shorter ones."""
    tables = head.tables
    assert isinstance(tables, CoordinateTables)
    initialise_vectors(tables.x, generator)
    initialise_vectors(tables.y, generator)
    initialise_places(tables.cells, CELL_STD, generator)


def initialise_places(network: nn.Sequential, std: float, generator: torch.Generator) -> None:
    """Initialise two linear layers with a GELU between by their inputs, the last times `std`."""
    for layer, factor in ((network[0], 1.0), (network[2], std)):
        assert isinstance(layer, nn.Linear)
        drawn = torch.randn(layer.weight.shape, generator=generator)
        layer.weight.copy_(drawn * factor * math.sqrt(2 / layer.in_features))


SIMCC_COORDINATES = HeadFamily(
    options=SimCCCoordinatesOptions,
    build=build,
    recognise=recognise,
    channels=lambda shapes: shapes["final_layer.weight"][0],
    codec=SimccCodec,
    loss=divergence_of_bins,
    widens=True,
    fix=fix,
    initialise=initialise,
)
