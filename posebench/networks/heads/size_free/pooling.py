"""A SimCC head that pools the features of each keypoint by attention before it reads their place.

Each keypoint has several heads of attention over the cells; what they gather is one vector for each
axis, which is compared with vectors made from the bins' places.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from posebench.errors import SpecError
from posebench.networks.codecs import SimccCodec
from posebench.networks.grids import Grid
from posebench.networks.heads.family import HeadFamily, Surroundings
from posebench.networks.heads.layers import check_counts
from posebench.networks.heads.losses import divergence_of_bins
from posebench.networks.heads.output_layers import in_float32
from posebench.networks.heads.size_free.coordinates import (
    BIN_TURNS,
    CELL_STD,
    CELL_TURNS,
    BinVectors,
    initialise_places,
    initialise_vectors,
)
from posebench.networks.heads.size_free.layout import (
    Layout,
    bin_codes,
    cell_codes,
    code_length,
    grid_of,
    layout_of,
    size_code,
    without_offset,
)
from posebench.networks.heads.size_free.marginal import KeypointEmbedding
from posebench.networks.shapes import Shapes
from posebench.networks.spec import BackboneSpec

KEY_STD = 0.03


@dataclass(frozen=True)
class SimCCPoolingOptions:
    """Options of the kind `simcc-pooling`.

    `channels` is the length of the vectors that are compared, `hidden` the width of the network
    that makes those of the cells, and `values` the length of what all heads gather.
    """

    attention_heads: int = 4
    channels: int = 64
    hidden: int = 128
    values: int = 128

    def __post_init__(self) -> None:
        check_counts([self.attention_heads, self.channels, self.hidden, self.values])
        if self.values % self.attention_heads:
            raise SpecError(f"Head: {self.values} values in {self.attention_heads} heads.")


class PoolingHead(nn.Module):
    """Keys and values of cells and of their places, pooled for each keypoint and head."""

    def __init__(
        self, options: SimCCPoolingOptions, in_channels: int, keypoints: int, layout: Layout
    ) -> None:
        super().__init__()
        self.layout, self.keypoints, self.heads = layout, keypoints, options.attention_heads
        keys = keypoints * options.attention_heads
        self.keys = nn.Conv2d(in_channels, keys, 1)
        self.values = nn.Conv2d(in_channels, options.values, 1)
        self.places = nn.Sequential(
            nn.Linear(2 * code_length(CELL_TURNS) + 2, options.hidden),
            nn.GELU(),
            nn.Linear(options.hidden, keys + options.values),
        )
        self.embedding = KeypointEmbedding(keypoints, options.values)
        self.out = nn.Linear(options.values, 2 * options.channels)
        self.x = BinVectors(options.channels)
        self.y = BinVectors(options.channels)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return `(simcc_x, simcc_y)` in the bins of the input's size."""
        grid = grid_of(features)
        key_places, value_places = self._of_places(grid, features.device)
        keys = self.keys(features).flatten(2) + key_places.T
        values = functional.gelu(self.values(features).flatten(2) + value_places.T)
        shares = keys.reshape(-1, self.keypoints, self.heads, grid.cells).softmax(dim=-1)
        parts = values.reshape(-1, 1, self.heads, values.shape[1] // self.heads, grid.cells)
        gathered = (parts @ shares[..., None]).flatten(2) + self.embedding.weight
        codes = bin_codes(self.layout, grid, BIN_TURNS, features.device)
        return in_float32(self._answers, self.out(gathered), *codes)

    def _answers(self, asking: Tensor, codes_x: Tensor, codes_y: Tensor) -> tuple[Tensor, ...]:
        for_x, for_y = asking.chunk(2, dim=-1)
        (x, offsets_x), (y, offsets_y) = self.x(codes_x), self.y(codes_y)
        return (
            without_offset(functional.linear(for_x, x, offsets_x)),
            without_offset(functional.linear(for_y, y, offsets_y)),
        )

    def _of_places(self, grid: Grid, device: torch.device) -> tuple[Tensor, Tensor]:
        codes = cell_codes(self.layout, grid, CELL_TURNS, device)
        size = size_code(self.layout, grid, device).expand(grid.cells, -1)
        of_places = self.places(torch.cat((codes, size), dim=1))
        split = self.keypoints * self.heads
        return of_places[:, :split], of_places[:, split:]


def build(options: SimCCPoolingOptions, around: Surroundings) -> PoolingHead:
    """Build the head."""
    return PoolingHead(options, around.in_channels, around.keypoints, layout_of(around))


def recognise(shapes: Shapes, _backbone: BackboneSpec | None) -> dict[str, Any] | None:
    """Return the options of a head that pools cells by attention, or None."""
    if not {"keys.weight", "places.0.weight", "x.vector.weight"} <= set(shapes):
        return None
    keypoints, values = shapes["embedding.weight"]
    return {
        "attention_heads": shapes["keys.weight"][0] // keypoints,
        "channels": shapes["x.vector.weight"][0],
        "hidden": shapes["places.0.weight"][0],
        "values": values,
    }


def initialise(head: PoolingHead, generator: torch.Generator) -> None:
    """Begin with nearly equal shares of the cells."""
    initialise_vectors(head.x, generator)
    initialise_vectors(head.y, generator)
    initialise_places(head.places, CELL_STD, generator)
    for layer, std in (
        (head.keys, KEY_STD),
        (head.out, 1 / math.sqrt(head.out.in_features)),
    ):
        layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * std)


SIMCC_POOLING = HeadFamily(
    options=SimCCPoolingOptions,
    build=build,
    recognise=recognise,
    channels=lambda shapes: shapes["embedding.weight"][0],
    codec=SimccCodec,
    loss=divergence_of_bins,
    widens=True,
    initialise=initialise,
)
