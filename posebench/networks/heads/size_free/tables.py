"""A SimCC head whose tables of position vectors are made for each input size.

`simcc-table` interpolates the tables of one size inside the forward pass, by the same matrices as
the policy `interpolate`, so that it can be trained at many sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from posebench.networks.codecs import SimccCodec
from posebench.networks.grids import Bins, Grid, grid_at
from posebench.networks.heads.family import HeadFamily, Surroundings
from posebench.networks.heads.layers import check_counts, final_layer
from posebench.networks.heads.losses import divergence_of_bins
from posebench.networks.heads.output_layers import in_float32
from posebench.networks.heads.size_free.layout import Layout, grid_of, layout_of
from posebench.networks.resampling import cell_center, kept_matrix, resample_cells
from posebench.networks.shapes import Shapes
from posebench.networks.spec import BackboneSpec

TABLE_STD = 0.01

Tables = tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]
"""A weight (bins, cells) and a bias (bins,) for x, and for y."""


class SizedTables(Protocol):
    """A module that makes tables."""

    def at(self, grid: Grid) -> Tables:
        """Return the tables for an input whose features have this grid."""


class TableHead(nn.Module):
    """One map per keypoint, flattened, times the tables that `tables` makes for its grid."""

    def __init__(
        self,
        final: nn.Conv2d,
        tables: SizedTables,
        finish: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.final_layer = final
        self.tables: Any = tables
        self.finish = finish

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return `(simcc_x, simcc_y)` in the bins of the input's size."""
        return in_float32(self._answers, self.final_layer(features))

    def _answers(self, maps: Tensor) -> tuple[Tensor, ...]:
        flat = maps.flatten(2)
        answers = (functional.linear(flat, *table) for table in self.tables.at(grid_of(maps)))
        return tuple(map(self.finish, answers) if self.finish else answers)


class FixedTables(nn.Module):
    """The tables of one grid."""

    def __init__(self, tables: Tables) -> None:
        super().__init__()
        for axis, (weight, bias) in zip("xy", tables, strict=True):
            self.register_buffer(f"weight_{axis}", weight.detach(), persistent=False)
            self.register_buffer(f"bias_{axis}", bias.detach(), persistent=False)

    def at(self, _grid: Grid) -> Tables:
        """Return the tables."""
        x, y = ((f"weight_{axis}", f"bias_{axis}") for axis in "xy")
        return (
            (self.get_buffer(x[0]), self.get_buffer(x[1])),
            (self.get_buffer(y[0]), self.get_buffer(y[1])),
        )


def fix(head: TableHead, grid: Grid) -> TableHead:
    """Return the head with plain tables for this grid; it shares the final layer."""
    with torch.no_grad():
        tables = FixedTables(head.tables.at(grid))
    return TableHead(head.final_layer, tables, head.finish)


@dataclass(frozen=True)
class SimCCTableOptions:
    """Options of the kind `simcc-table`.

    `cells` (rows, columns) and `bins` (x, y) are those of the stored tables; by default those of
    the input size that the network is first built for.
    """

    final_layer_kernel: int = 1
    cells: tuple[int, int] | None = None
    bins: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        check_counts([self.final_layer_kernel, *(self.cells or ()), *(self.bins or ())])


class Table(nn.Module):
    """A weight (bins, rows, columns) and a bias (bins,)."""

    def __init__(self, bins: int, cells: Grid) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(bins, cells.height, cells.width))
        self.bias = nn.Parameter(torch.zeros(bins))

    def initialise(self, generator: torch.Generator) -> None:
        """Set the weight as that of a linear layer in a head."""
        self.weight.copy_(torch.randn(self.weight.shape, generator=generator) * TABLE_STD)
        self.bias.zero_()


class InterpolatedTables(nn.Module):
    """The tables of one size, sampled linearly at the cells and bins of another."""

    def __init__(self, cells: Grid, bins: Bins, layout: Layout) -> None:
        super().__init__()
        self.cells, self.layout = cells, layout
        self.x = Table(bins.x, cells)
        self.y = Table(bins.y, cells)

    def at(self, grid: Grid) -> Tables:
        """Return the tables for an input whose features have this grid."""
        down, right = self.cells.height / grid.height, self.cells.width / grid.width
        bins = self.layout.bins(grid)
        return self._sampled(self.x, bins.x, right, grid), self._sampled(self.y, bins.y, down, grid)

    def _sampled(self, table: Table, count: int, step: float, grid: Grid) -> tuple[Tensor, Tensor]:
        weight: Tensor = table.weight.flatten(1)
        bias: Tensor = table.bias
        if grid == self.cells:
            return weight, bias
        device, center = weight.device, cell_center(self.layout.stride)
        if self.layout.codec.bins_follow_size:
            matrix = kept_matrix(len(bias), count, step, 0.0, device)
            weight, bias = matrix @ weight, matrix @ bias
        rows, columns = (
            kept_matrix(old, new, old / new, center, device)
            for old, new in (
                (self.cells.height, grid.height),
                (self.cells.width, grid.width),
            )
        )
        return resample_cells(weight, rows, columns), bias


def settle(options: SimCCTableOptions, around: Surroundings) -> SimCCTableOptions:
    """Return options with the cells and bins of the tables."""
    layout = layout_of(around)
    grid = grid_at(around.size, around.stride)
    bins = layout.bins(grid)
    return replace(
        options,
        cells=options.cells or (grid.height, grid.width),
        bins=options.bins or (bins.x, bins.y),
    )


def build(options: SimCCTableOptions, around: Surroundings) -> TableHead:
    """Build the head with tables of the options' cells and bins."""
    settled = settle(options, around)
    assert settled.cells is not None and settled.bins is not None
    tables = InterpolatedTables(Grid(*settled.cells), Bins(*settled.bins), layout_of(around))
    final = final_layer(options.final_layer_kernel, around.in_channels, around.keypoints)
    return TableHead(final, tables)


def recognise(shapes: Shapes, _backbone: BackboneSpec | None) -> dict[str, Any] | None:
    """Return the options of a head with stored tables, or None."""
    if not {"tables.x.weight", "tables.y.weight"} <= set(shapes):
        return None
    bins, *cells = shapes["tables.x.weight"]
    return {
        "final_layer_kernel": shapes["final_layer.weight"][-1],
        "cells": cells,
        "bins": [bins, shapes["tables.y.weight"][0]],
    }


SIMCC_TABLE = HeadFamily(
    options=SimCCTableOptions,
    build=build,
    recognise=recognise,
    channels=lambda shapes: shapes["final_layer.weight"][0],
    codec=SimccCodec,
    loss=divergence_of_bins,
    widens=True,
    fix=fix,
    settle=settle,
)
