"""Sub-cell offsets by expectation (soft-argmax), in a window around the best cell or bin.

A window, because over a whole map the small values everywhere pull the expectation to the middle
(Sun et al., "Integral Human Pose Regression", 2018, train against that). The window is symmetric:
at a border it shrinks on both sides to the room on the nearer one. It pulls a peak of standard
deviation sigma towards its best cell by 5 % of the offset if it reaches 2.5 sigma, and by 2 % at 3
sigma.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebench.networks.codecs.maps import Maps


def heatmap_expectation_offsets(
    heatmaps: Maps, cells: NDArray[np.int64], radius: int
) -> NDArray[np.float32]:
    """Return (N, K, 2): mean distance to the cell, weighted by the positive values in the window.

    `heatmaps` are (N, K, h, w), `cells` (N, K, 2), x then y, `radius` in cells. The offset of a
    cell outside the map, such as (−1, −1), is 0.
    """
    keypoint_count, height, width = heatmaps.shape[1:]
    steps, x_inside = _window(cells[..., 0], width, radius)
    _, y_inside = _window(cells[..., 1], height, radius)
    columns = (cells[..., 0, None] + steps).clip(0, width - 1)
    rows = (cells[..., 1, None] + steps).clip(0, height - 1)
    rows += np.arange(keypoint_count)[:, None] * height
    window = heatmaps.at(rows[..., :, None] * width + columns[..., None, :])
    weights = np.maximum(window, 0) * (y_inside[..., :, None] & x_inside[..., None, :])
    return np.stack([_mean(weights.sum(axis=axis), steps) for axis in (-2, -1)], axis=-1)


def bin_expectation_offsets(
    outputs: Maps, best: NDArray[np.int64], radius: int, *, probabilities: bool
) -> NDArray[np.float32]:
    """Return (N, K): mean distance to the best bin, weighted by the softmax over the window.

    `outputs` are (N, K, bins), logits or `probabilities`; `best` is (N, K), `radius` in bins. The
    logits are used at temperature 1: if training multiplied them by a factor (10 in RTMPose), this
    softmax is flatter than the trained one, and keypoints move less.
    """
    keypoint_count, count = outputs.shape[1:]
    steps, inside = _window(best, count, radius)
    index = (best[..., None] + steps).clip(0, count - 1)
    window = outputs.at(np.arange(keypoint_count)[:, None] * count + index)
    logits = _log(window) if probabilities else window
    highest = logits[..., radius, None]
    return _mean(np.exp(logits - highest) * inside, steps)


def _log(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return logits whose softmax is `probabilities`; those that underflowed to 0 stay finite."""
    logits: NDArray[np.float32] = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    return logits


def _window(
    best: NDArray[np.int64], count: int, radius: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the steps (2 radius + 1,) around `best` (N, K), and which of them count."""
    steps = np.arange(-radius, radius + 1)
    room = np.minimum(best, count - 1 - best)[..., None]
    inside: NDArray[np.bool_] = np.abs(steps) <= room
    return steps, inside


def _mean(weights: NDArray[np.float32], steps: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the mean (N, K) of `steps` under `weights` (N, K, steps), or 0 without weights."""
    total = weights.sum(axis=-1)
    moment = weights @ steps.astype(np.float32)
    mean: NDArray[np.float32] = np.divide(moment, total, out=np.zeros_like(moment), where=total > 0)
    return mean
