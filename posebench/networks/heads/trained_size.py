"""Read the input size that a head was trained at from its size-locked layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from posebench.networks.heads import head_family, map_grid
from posebench.networks.shapes import Shapes
from posebench.networks.sizes import MAX_SIDE, InputSize
from posebench.networks.spec import HeadSpec

# Ratios, tried in this order: bins are a side times the ratio, cells the area over the squared
# stride.
SPLIT_RATIOS = (2.0, 1.0, 3.0, 1.5, 2.5, 4.0)


@dataclass(frozen=True)
class TrainedSize:
    """The size, split ratio and options that fit a head's layers, and why."""

    size: InputSize
    split_ratio: float
    options: Mapping[str, Any]
    why: str


def find_trained_size(
    shapes: Shapes, head: HeadSpec, stride: int, known_ratio: float | None
) -> TrainedSize | None:
    """Return the trained size that a head's size-locked layers fit, or None if they tell none.

    `shapes` are those of its tensors without `head.`; `known_ratio` is the config's split ratio, if
    any. A convolution does not depend on its input size, so a heatmap head reveals none.
    """
    family = head_family(head.kind)
    weights = {layer: shapes.get(f"{layer.name}.weight", ()) for layer in family.size_locked}
    if any(len(weight) != 2 for weight in weights.values()):
        return None
    bins = {layer.bins: weight[0] for layer, weight in weights.items() if layer.bins}
    inputs = next((weight[1] for layer, weight in weights.items() if layer.cells == 1), None)
    if len(bins) != 2:
        return None
    for ratio in SPLIT_RATIOS if known_ratio is None else (known_ratio,):
        height, width = round(bins["y"] / ratio), round(bins["x"] / ratio)
        exact = (int(height * ratio), int(width * ratio)) == (bins["y"], bins["x"])
        if not exact or not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
            continue
        size, why = InputSize(height, width), f"{bins['x']}, {bins['y']} bins"
        if inputs is None:
            return TrainedSize(size, ratio, {}, why)
        cells = map_grid(head, stride, size).cells
        channels, rest = divmod(inputs, cells)
        options = None if rest else family.told_by_channels(shapes, channels)
        if options is not None:
            return TrainedSize(size, ratio, options, f"{why} over {cells} cells")
    return None
