"""A fully convolutional SimCC head: soft marginals of maps, then the bins of each row or column.

For the x bins each column of the features is pooled over its rows, by a softmax that each keypoint
learns; a small network along the columns then answers with the bins that lie in each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from posebench.errors import SpecError
from posebench.networks.codecs import SimccCodec
from posebench.networks.heads.family import HeadFamily, Surroundings
from posebench.networks.heads.layers import check_counts
from posebench.networks.heads.losses import divergence_of_bins
from posebench.networks.heads.output_layers import in_float32
from posebench.networks.heads.size_free.layout import Layout, layout_of, without_offset
from posebench.networks.shapes import Shapes
from posebench.networks.spec import BackboneSpec

KERNEL = 3
OUTPUT_STD = 0.02
_ROWS, _COLUMNS = 3, 4
"""The axes of maps (N, K, channels, h, w)."""


@dataclass(frozen=True)
class SimCCMarginalOptions:
    """Options of the kind `simcc-marginal`.

    `channels` are pooled for each keypoint; `hidden` is the width of the network along the axis.
    """

    channels: int = 8
    hidden: int = 64

    def __post_init__(self) -> None:
        check_counts([self.channels, self.hidden])


class Marginal(nn.Module):
    """The bins of one axis, from features pooled over the other axis, `pooled`."""

    def __init__(
        self, options: SimCCMarginalOptions, in_channels: int, keypoints: int, bins_per_cell: int
    ) -> None:
        super().__init__()
        hidden, padding = options.hidden, KERNEL // 2
        self.keypoints = keypoints
        self.values = nn.Conv2d(in_channels, keypoints * options.channels, 1)
        self.scores = nn.Conv2d(in_channels, keypoints, 1)
        self.first = nn.Conv1d(options.channels, hidden, KERNEL, padding=padding)
        self.embedding = KeypointEmbedding(keypoints, hidden)
        self.second = nn.Conv1d(hidden, hidden, KERNEL, padding=padding)
        self.last = nn.Conv1d(hidden, bins_per_cell, KERNEL, padding=padding)

    def forward(self, features: Tensor, pooled: int) -> Tensor:
        """Return the bins (N, K, cells of the axis * bins per cell) of features (N, C, h, w)."""
        height, width = features.shape[2:]
        values = self.values(features).reshape(-1, self.keypoints, self._channels, height, width)
        scores = self.scores(features).reshape(-1, self.keypoints, 1, height, width)
        line = (values * scores.softmax(dim=pooled)).sum(dim=pooled)
        cells = line.shape[-1]
        hidden = self.first(line.reshape(-1, self._channels, cells))
        hidden = hidden.reshape(-1, self.keypoints, hidden.shape[1], cells)
        hidden = functional.gelu(hidden + self.embedding.weight[..., None]).flatten(0, 1)
        hidden = hidden + functional.gelu(self.second(hidden))
        bins: Tensor = in_float32(self.last, hidden).transpose(1, 2)
        return bins.reshape(-1, self.keypoints, bins.shape[1] * bins.shape[2])

    @property
    def _channels(self) -> int:
        return self.first.in_channels


class KeypointEmbedding(nn.Module):
    """One learned vector per keypoint."""

    def __init__(self, keypoints: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(keypoints, channels))

    def initialise(self, generator: torch.Generator) -> None:
        """Set the vectors, normal with standard deviation 1."""
        self.weight.copy_(torch.randn(self.weight.shape, generator=generator))


class MarginalHead(nn.Module):
    """One network for each axis."""

    def __init__(
        self, options: SimCCMarginalOptions, in_channels: int, keypoints: int, bins_per_cell: int
    ) -> None:
        super().__init__()
        self.x = Marginal(options, in_channels, keypoints, bins_per_cell)
        self.y = Marginal(options, in_channels, keypoints, bins_per_cell)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return `(simcc_x, simcc_y)` in the bins of the input's size."""
        answers = self.x(features, _ROWS), self.y(features, _COLUMNS)
        return tuple(without_offset(answer) for answer in answers)


def build(options: SimCCMarginalOptions, around: Surroundings) -> MarginalHead:
    """Build the head, whose last layers have as many channels as a cell has bins."""
    per_cell = _bins_per_cell(layout_of(around))
    return MarginalHead(options, around.in_channels, around.keypoints, per_cell)


def _bins_per_cell(layout: Layout) -> int:
    count = layout.stride * layout.codec.split_ratio
    if not layout.codec.bins_follow_size or count != int(count):
        raise SpecError(
            "A simcc-marginal head needs a whole number of evenly spaced bins per cell.",
            hint=f"Choose a split_ratio that makes {layout.stride} pixels a whole number of bins.",
        )
    return int(count)


def recognise(shapes: Shapes, _backbone: BackboneSpec | None) -> dict[str, Any] | None:
    """Return the options of a head with a network along each axis, or None."""
    if not {"x.values.weight", "x.first.weight"} <= set(shapes):
        return None
    hidden, channels, _ = shapes["x.first.weight"]
    return {"channels": channels, "hidden": hidden}


def initialise(head: MarginalHead, generator: torch.Generator) -> None:
    """Give the last layers small weights, so that all bins begin nearly alike."""
    for axis in (head.x, head.y):
        weight = axis.last.weight
        weight.copy_(torch.randn(weight.shape, generator=generator) * OUTPUT_STD)


SIMCC_MARGINAL = HeadFamily(
    options=SimCCMarginalOptions,
    build=build,
    recognise=recognise,
    channels=lambda shapes: shapes["x.embedding.weight"][0],
    codec=SimccCodec,
    loss=divergence_of_bins,
    initialise=initialise,
)
