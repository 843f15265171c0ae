"""The grid that a decoder leaves in coordinates: whole map pixels or bins, or quarter offsets.

Within a crop that is W image pixels wide, argmax of a map or of bins puts x on multiples of W / n.
The classic decoder of heatmaps adds or takes a quarter of a map's pixel: x then lies on a grid of
twice as many steps, but never on the steps of the map. DARK, UDP and expectation leave no grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebench.scoring.matching.detections import ResultColumns

_ASPECT_RATIO = 0.75
_PADDINGS = (1.25, 1.0, 1.1, 1.2, 1.3, 1.5)
# Steps across a crop: from 8 pixels of a map to 4 bins for each of 288 pixels.
_FEWEST, _MOST = 8, 1152
_POSES = 200
# Mean square of the resultant of a pose's phases: 1 on the grid, about 1/K off it.
_CLEAR = 0.8


@dataclass(frozen=True)
class Grid:
    """Coordinates on a grid: `steps` across a crop padded by `padding`, half a step off or not."""

    steps: int
    padding: float
    between: bool

    def __str__(self) -> str:
        if self.between:
            what = f"quarter offsets on maps {self.steps // 2} pixels wide"
        else:
            what = f"whole steps, {self.steps} across a crop (argmax of a map, or SimCC's bins)"
        return f"{what}, boxes padded by {self.padding:g}"


def grid_of(columns: ResultColumns) -> Grid | None:
    """Return the grid of x in results with boxes, None where there is none or boxes are missing."""
    boxes = columns.bbox_xywh
    if boxes is None or not len(boxes):
        return None
    rows = np.unique(np.linspace(0, len(boxes) - 1, _POSES).astype(np.int64))
    x, (width, height) = columns.detections.keypoints[rows, :, 0], boxes[rows, 2:].T
    side = np.maximum(width, height * _ASPECT_RATIO)
    usable = side > 1
    center = boxes[rows, 0] + width / 2
    for padding in _PADDINGS:
        own = side[usable, None] * padding
        found = _grid(x[usable] / own, center[usable, None] / own - 0.5, padding)
        if found is not None:
            return found
    return None


def _grid(x: NDArray[np.float64], left: NDArray[np.float64], padding: float) -> Grid | None:
    """Return the coarsest grid of x (N, K); `left` (N, 1) is the crop's edge, both in crops."""
    inside = x - left
    for steps in range(_FEWEST, _MOST + 1):
        phases = np.exp(2j * np.pi * steps * inside)
        resultant = phases.mean(axis=1)
        if float((np.abs(resultant) ** 2).mean()) > _CLEAR:
            return Grid(steps, padding, between=bool(np.real(resultant).mean() < 0))
    return None
