"""Maps of three channels per keypoint, label and offset in x and y (UDP, Huang et al. 2020).

Numbers must match `heatmap_type='combined'` of MMPose 1.3.2's `codecs/udp_heatmap.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebench.networks.codecs.maps import Maps

CHANNELS = 3
# Offsets are in units of this share of the longer side of the map.
RADIUS_FACTOR = 0.0546875


def decode_offset_maps(maps: Maps, kernel: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the best cell of each smoothed label map plus its offset (N, K, 2), and its value.

    `maps` are (N, 3K, h, w). Cells outside a label map mirror those inside. If no value is above 0,
    the cell is (−1, −1), and the offset is read W + 1 cells before the map's first.
    """
    height, width = maps.shape[2:]
    keypoint_count, area = maps.shape[1] // CHANNELS, height * width
    scores, best = maps.blurred(kernel, CHANNELS).peaks()
    row, column = np.divmod(best, width)
    cells = np.stack([column, row], axis=-1)
    cells[scores <= 0] = -1
    # The reference reads offsets from the flattened maps of all keypoints, also before the first.
    place = cells[..., 0] + cells[..., 1] * width + np.arange(keypoint_count) * area
    keypoint, within = np.divmod(place % (keypoint_count * area), area)
    channels = keypoint[..., None] * CHANNELS + np.array([1, 2])
    offsets = maps.at(channels * area + within[..., None])
    radius = RADIUS_FACTOR * max(width, height)
    keypoints: NDArray[np.float32] = cells.astype(np.float32) + offsets * np.float32(radius)
    return keypoints, scores
