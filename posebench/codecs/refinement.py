"""Sub-cell offsets of a heatmap's best cell: quarter offset, DARK, DARK as UDP has it.

Numbers must match MMPose 1.3.2's `codecs/utils/refinement.py` and `gaussian_blur` of
`codecs/utils/post_processing.py`, dtypes of intermediate results included.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Heatmaps = NDArray[np.float32]
Cells = NDArray[np.int64]


def quarter_offsets(heatmaps: Heatmaps, cells: Cells, *, jointly: bool) -> NDArray[np.float32]:
    """Return (N, K, 2): a quarter cell towards the higher neighbour, per axis.

    `heatmaps` are (N, K, h, w), `cells` (N, K, 2), x then y. An axis stays as it is at the
    borders by MMPose's rule, which is not symmetric, or, `jointly`, both stay where one does.
    """
    height, width = heatmaps.shape[2:]
    x, y = cells[..., 0], cells[..., 1]
    moves_x = (x > 1) & (x < width - 1) & (y > 0)
    moves_y = (y > 1) & (y < height - 1) & (x > 0)
    if jointly:
        moves_x = moves_y = moves_x & moves_y
    slope_x = _at(heatmaps, x + 1, y) - _at(heatmaps, x - 1, y)
    slope_y = _at(heatmaps, x, y + 1) - _at(heatmaps, x, y - 1)
    signs = np.stack([np.sign(slope_x) * moves_x, np.sign(slope_y) * moves_y], axis=-1)
    offsets: NDArray[np.float32] = signs * np.float32(0.25)
    return offsets


def dark_offsets(heatmaps: Heatmaps, cells: Cells, kernel: int) -> NDArray[np.float64]:
    """Return (N, K, 2): one Newton step on the smoothed log heatmap, with steps of two cells.

    Cells within two of a border, or where the Hessian is singular, stay.
    """
    height, width = heatmaps.shape[2:]
    log = np.log(np.maximum(smoothed(heatmaps, kernel), np.float32(1e-10)))
    x, y = cells[..., 0], cells[..., 1]
    # float32 differences, float64 combinations: what numpy 1 made of the reference's scalars.
    middle = 2.0 * _at(log, x, y).astype(np.float64)
    dx = 0.5 * (_at(log, x + 1, y) - _at(log, x - 1, y)).astype(np.float64)
    dy = 0.5 * (_at(log, x, y + 1) - _at(log, x, y - 1)).astype(np.float64)
    dxx = 0.25 * (_at(log, x + 2, y) - middle + _at(log, x - 2, y))
    dyy = 0.25 * (_at(log, x, y + 2) - middle + _at(log, x, y - 2))
    diagonal = _at(log, x + 1, y + 1) - _at(log, x + 1, y - 1)
    diagonal = diagonal - _at(log, x - 1, y + 1) + _at(log, x - 1, y - 1)
    dxy = 0.25 * diagonal.astype(np.float64)
    inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    moves = inside & (dxx * dyy - dxy**2 != 0)
    hessian = np.stack([dxx, dxy, dxy, dyy], axis=-1).reshape(*x.shape, 2, 2)
    hessian[~moves] = np.eye(2)
    step = _newton_step(hessian, np.stack([dx, dy], axis=-1))
    return np.where(moves[..., None], step, 0.0)


def udp_offsets(heatmaps: Heatmaps, cells: Cells, kernel: int) -> NDArray[np.float64]:
    """Return (N, K, 2): one Newton step on the smoothed log heatmap, for every cell.

    The map is clipped to [1e-3, 50] first and continued by its edge.
    """
    count, keypoint_count, height, width = heatmaps.shape
    log = np.log(np.clip(smoothed(heatmaps, kernel), np.float32(1e-3), np.float32(50)))
    padded = np.pad(log, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    stride, area = width + 2, (width + 2) * (height + 2)
    index = cells[..., 0] + 1 + (cells[..., 1] + 1) * stride + np.arange(keypoint_count) * area
    flat = padded.reshape(count, keypoint_count * area)

    def at(step: int) -> NDArray[np.float32]:
        # Around the cell (−1, −1) of an all-negative map the reference reads on into its
        # neighbour in memory, the first map's neighbour being the last.
        return np.take_along_axis(flat, (index + step) % (keypoint_count * area), axis=1)

    middle, right, left, below, above = at(0), at(1), at(-1), at(stride), at(-stride)
    gradient = np.stack([right - left, below - above], axis=-1) * np.float32(0.5)
    dxx = right - 2 * middle + left
    dyy = below - 2 * middle + above
    dxy = at(stride + 1) - right - below + middle + middle - left - above + at(-stride - 1)
    dxy = np.float32(0.5) * dxy
    hessian = np.stack([dxx, dxy, dxy, dyy], axis=-1).reshape(*index.shape, 2, 2)
    regular = hessian + np.finfo(np.float32).eps * np.eye(2)
    return _newton_step(regular, gradient.astype(np.float64))


def smoothed(heatmaps: Heatmaps, kernel: int) -> Heatmaps:
    """Return heatmaps (N, K, h, w) blurred by a Gaussian `kernel` cells wide, maxima restored.

    Cells outside count as 0. A map whose blurred maximum is 0 stays blurred, where the reference
    divides by zero.
    """
    border = (kernel - 1) // 2
    sides = ((0, 0), (0, 0), (border, border), (border, border))
    padded = np.pad(heatmaps, sides)
    if padded.size == 0:
        return heatmaps
    # All maps stand in one column: their own padding keeps them apart, one call blurs them all.
    column = cv2.GaussianBlur(padded.reshape(-1, padded.shape[-1]), (kernel, kernel), 0)
    inner = np.asarray(column).reshape(padded.shape)[..., border:-border, border:-border]
    blurred_peak = inner.max(axis=(-2, -1), keepdims=True)
    peak = heatmaps.max(axis=(-2, -1), keepdims=True)
    factor = np.divide(peak, blurred_peak, out=np.ones_like(peak), where=blurred_peak != 0)
    result: Heatmaps = inner * factor
    return result


def _at(maps: Heatmaps, x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return maps (N, K, h, w) at cells x, y (N, K), moved inside where they are not."""
    count, keypoint_count, height, width = maps.shape
    n, k = np.arange(count)[:, None], np.arange(keypoint_count)
    values: NDArray[np.float32] = maps[n, k, y.clip(0, height - 1), x.clip(0, width - 1)]
    return values


def _newton_step(hessian: NDArray[np.float64], gradient: NDArray[Any]) -> NDArray[np.float64]:
    """Return −H⁻¹g for (..., 2, 2) and (..., 2)."""
    step: NDArray[np.float64] = -np.einsum("...mn,...n->...m", np.linalg.inv(hessian), gradient)
    return step
