"""Sub-cell offsets by expectation (soft-argmax), in a window around the best cell or bin.

A window, as the expectation over a whole map is drawn to its middle by what little stands
everywhere else (Sun et al., "Integral Human Pose Regression", 2018, train against that). It is
symmetric, at a border too, where it shrinks to what there is on the nearer side; a peak of
standard deviation sigma is drawn to its best cell by 5 % of the offset if the window reaches
2.5 sigma, and by 2 % at 3 sigma.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def heatmap_expectation_offsets(
    heatmaps: NDArray[np.float32], cells: NDArray[np.int64], radius: int
) -> NDArray[np.float32]:
    """Return (N, K, 2): mean distance to the cell, weighted by what is positive in the window.

    `heatmaps` are (N, K, h, w), `cells` (N, K, 2), x then y, `radius` in cells. A cell outside
    the map, as (−1, −1) is, stays.
    """
    steps, x_inside = _window(cells[..., 0], heatmaps.shape[3], radius)
    _, y_inside = _window(cells[..., 1], heatmaps.shape[2], radius)
    rows = (cells[..., 1, None] + steps).clip(0, heatmaps.shape[2] - 1)
    columns = (cells[..., 0, None] + steps).clip(0, heatmaps.shape[3] - 1)
    n = np.arange(heatmaps.shape[0])[:, None, None, None]
    k = np.arange(heatmaps.shape[1])[:, None, None]
    window = heatmaps[n, k, rows[..., :, None], columns[..., None, :]]
    weights = np.maximum(window, 0) * (y_inside[..., :, None] & x_inside[..., None, :])
    return np.stack([_mean(weights.sum(axis=axis), steps) for axis in (-2, -1)], axis=-1)


def bin_expectation_offsets(
    logits: NDArray[np.float32], best: NDArray[np.int64], radius: int
) -> NDArray[np.float32]:
    """Return (N, K): mean distance to the best bin, weighted by the softmax over the window.

    `logits` are (N, K, bins), `best` (N, K), `radius` in bins. The logits are taken as they are,
    at temperature 1: where training multiplied them by a factor (10 in RTMPose), the softmax is
    flatter than the one that was trained, and keypoints move less.
    """
    steps, inside = _window(best, logits.shape[-1], radius)
    index = (best[..., None] + steps).clip(0, logits.shape[-1] - 1)
    window = np.take_along_axis(logits, index, axis=-1)
    highest = np.take_along_axis(logits, best[..., None], axis=-1)
    return _mean(np.exp(window - highest) * inside, steps)


def _window(
    best: NDArray[np.int64], count: int, radius: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the steps (2 radius + 1,) around `best` (N, K), and which of them count."""
    steps = np.arange(-radius, radius + 1)
    room = np.minimum(best, count - 1 - best)[..., None]
    inside: NDArray[np.bool_] = np.abs(steps) <= room
    return steps, inside


def _mean(weights: NDArray[np.float32], steps: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the mean (N, K) of `steps` under `weights` (N, K, steps), 0 where there are none."""
    total = weights.sum(axis=-1)
    moment = weights @ steps.astype(np.float32)
    mean: NDArray[np.float32] = np.divide(moment, total, out=np.zeros_like(moment), where=total > 0)
    return mean
