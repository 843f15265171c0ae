"""Sub-cell offsets of a heatmap's best cell: quarter offset, DARK, and UDP's variant of DARK.

Numbers must match MMPose 1.3.2's `codecs/utils/refinement.py`, dtypes of intermediate results
included.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.networks.codecs.maps import Maps

Cells = NDArray[np.int64]
# Steps in x and y: right, left, below and above, then the diagonals.
HERE = np.array([(0, 0)])
BESIDE = np.array([(1, 0), (-1, 0), (0, 1), (0, -1)])
DIAGONAL = np.array([(1, 1), (1, -1), (-1, 1), (-1, -1)])


def quarter_offsets(heatmaps: Maps, cells: Cells, *, jointly: bool) -> NDArray[np.float32]:
    """Return (N, K, 2): a quarter cell towards the higher neighbour, per axis.

    `heatmaps` are (N, K, h, w), `cells` (N, K, 2), x then y. At a border the offset of that axis is
    0, by MMPose's rule, which is not symmetric; with `jointly`, both offsets are 0 there.
    """
    height, width = heatmaps.shape[2:]
    x, y = cells[..., 0], cells[..., 1]
    moves_x = (x > 1) & (x < width - 1) & (y > 0)
    moves_y = (y > 1) & (y < height - 1) & (x > 0)
    if jointly:
        moves_x = moves_y = moves_x & moves_y
    right, left, below, above = _values(heatmaps, cells, BESIDE)
    signs = np.stack([np.sign(right - left) * moves_x, np.sign(below - above) * moves_y], axis=-1)
    offsets: NDArray[np.float32] = signs * np.float32(0.25)
    return offsets


def dark_offsets(heatmaps: Maps, cells: Cells, kernel: int) -> NDArray[np.float64]:
    """Return (N, K, 2): one Newton step on the smoothed log heatmap, with steps of two cells.

    The offset is 0 within two cells of a border, and if the Hessian is singular.
    """
    height, width = heatmaps.shape[2:]
    steps = np.concatenate([HERE, BESIDE, 2 * BESIDE, DIAGONAL])
    values = _values(heatmaps.smoothed(kernel), cells, steps)
    log = np.log(np.maximum(values, np.float32(1e-10)))
    right, left, below, above = log[1:5]
    right2, left2, below2, above2 = log[5:9]
    right_below, right_above, left_below, left_above = log[9:]
    # float32 differences, float64 combinations: numpy 1's dtypes for the reference's scalars.
    middle = 2.0 * log[0].astype(np.float64)
    dx = 0.5 * (right - left).astype(np.float64)
    dy = 0.5 * (below - above).astype(np.float64)
    dxx = 0.25 * (right2 - middle + left2)
    dyy = 0.25 * (below2 - middle + above2)
    dxy = 0.25 * (right_below - right_above - left_below + left_above).astype(np.float64)
    x, y = cells[..., 0], cells[..., 1]
    inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    moves = inside & (dxx * dyy - dxy**2 != 0)
    hessian = np.stack([dxx, dxy, dxy, dyy], axis=-1).reshape(*x.shape, 2, 2)
    hessian[~moves] = np.eye(2)
    step = _newton_step(hessian, np.stack([dx, dy], axis=-1))
    return np.where(moves[..., None], step, 0.0)


def udp_offsets(heatmaps: Maps, cells: Cells, kernel: int) -> NDArray[np.float64]:
    """Return (N, K, 2): one Newton step on the smoothed log heatmap, for every cell.

    The map is first clipped to [1e-3, 50] and padded with its edge values.
    """
    steps = np.concatenate([HERE, BESIDE, DIAGONAL[[0, 3]]])
    places = _places_in_memory(cells, steps, heatmaps.shape)
    log = np.log(np.clip(heatmaps.smoothed(kernel).at(places), np.float32(1e-3), np.float32(50)))
    middle, right, left, below, above, right_below, left_above = np.moveaxis(log, -1, 0)
    gradient = np.stack([right - left, below - above], axis=-1) * np.float32(0.5)
    dxx = right - 2 * middle + left
    dyy = below - 2 * middle + above
    dxy = right_below - right - below + middle + middle - left - above + left_above
    dxy = np.float32(0.5) * dxy
    hessian = np.stack([dxx, dxy, dxy, dyy], axis=-1).reshape(*middle.shape, 2, 2)
    regular = hessian + np.finfo(np.float32).eps * np.eye(2)
    return _newton_step(regular, gradient.astype(np.float64))


def _values(maps: Maps, cells: Cells, steps: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return values (P, N, K) at `cells` (N, K, 2) plus `steps` (P, 2), moved inside the maps."""
    count, height, width = maps.shape[1:]
    around = cells[:, :, None] + steps
    x, y = around[..., 0].clip(0, width - 1), around[..., 1].clip(0, height - 1)
    values = maps.at((np.arange(count)[:, None] * height + y) * width + x)
    return np.ascontiguousarray(np.moveaxis(values, -1, 0))


def _places_in_memory(
    cells: Cells, steps: NDArray[np.int64], shape: tuple[int, ...]
) -> NDArray[np.int64]:
    """Return places (N, K, P) of `cells` (N, K, 2) plus `steps` (P, 2), in maps of `shape`.

    Places outside are moved inside, except around the cell (−1, −1) of an all-negative map: there
    the reference reads on into the map before it in memory, or into the last map from the first
    one. Its maps have a margin of one cell.
    """
    count, height, width = shape[1:]
    stride, area = width + 2, (width + 2) * (height + 2)
    around = cells[:, :, None] + 1 + steps
    index = around[..., 0] + around[..., 1] * stride + np.arange(count)[:, None] * area
    keypoint, rest = np.divmod(index % (count * area), area)
    row, column = np.divmod(rest, stride)
    y, x = (row - 1).clip(0, height - 1), (column - 1).clip(0, width - 1)
    places: NDArray[np.int64] = (keypoint * height + y) * width + x
    return places


def _newton_step(hessian: NDArray[np.float64], gradient: NDArray[Any]) -> NDArray[np.float64]:
    """Return −H⁻¹g for (..., 2, 2) and (..., 2)."""
    step: NDArray[np.float64] = -np.einsum("...mn,...n->...m", np.linalg.inv(hessian), gradient)
    return step
