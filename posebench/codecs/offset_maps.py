"""Maps of three channels per keypoint, label and offset in x and y (UDP, Huang et al. 2020).

Numbers must match `heatmap_type='combined'` of MMPose 1.3.2's `codecs/udp_heatmap.py`.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

CHANNELS = 3
# Offsets are in units of this share of the longer side of the map.
RADIUS_FACTOR = 0.0546875


def decode_offset_maps(
    maps: NDArray[np.float32], kernel: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the best cell of each smoothed label map plus its offset (N, K, 2), and its value.

    `maps` are (N, 3K, h, w). Cells outside a label map mirror those inside. Where no value is
    above 0 the cell is (−1, −1), and the offset that of the cell W + 1 before the map's first.
    """
    count, channels, height, width = maps.shape
    keypoint_count = channels // CHANNELS
    split = maps.reshape(count, keypoint_count, CHANNELS, height * width)
    blurred = np.stack(
        [
            cv2.GaussianBlur(label.reshape(height, width), (kernel, kernel), 0).ravel()
            for label in split[:, :, 0].reshape(-1, height * width)
        ]
    ).reshape(count, keypoint_count, -1)
    scores = blurred.max(axis=-1)
    row, column = np.divmod(blurred.argmax(axis=-1), width)
    cells = np.stack([column, row], axis=-1)
    cells[scores <= 0] = -1
    # The reference finds offsets in the flattened maps of all keypoints, also before the first.
    place = cells[..., 0] + cells[..., 1] * width + np.arange(keypoint_count) * height * width
    radius = RADIUS_FACTOR * max(width, height)
    offsets = [
        np.take_along_axis(
            split[:, :, axis].reshape(count, -1), place % (keypoint_count * height * width), axis=1
        )
        for axis in (1, 2)
    ]
    keypoints: NDArray[np.float32] = cells.astype(np.float32) + np.stack(
        offsets, axis=-1
    ) * np.float32(radius)
    return keypoints, scores
