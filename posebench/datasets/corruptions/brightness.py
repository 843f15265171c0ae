"""Brightness: value added as in ImageNet-C, or most of the light taken away."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_ADDED = (0.1, 0.2, 0.3, 0.4, 0.5)
_LEFT = (0.5, 0.35, 0.22, 0.13, 0.07)


def brightened(
    image: NDArray[np.uint8], level: int, rng: np.random.Generator, boxes: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) whose value in HSV is higher; nothing is drawn by chance."""
    del rng, boxes
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    added = round(255 * _ADDED[level - 1])
    hsv[..., 2] = np.minimum(hsv[..., 2].astype(np.int16) + added, 255)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR).astype(np.uint8, copy=False)


def darkened(
    image: NDArray[np.uint8], level: int, rng: np.random.Generator, boxes: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) with a share of its light, in whole grey levels."""
    del rng, boxes
    found: NDArray[np.uint8] = np.rint(image * np.float32(_LEFT[level - 1])).astype(np.uint8)
    return found
