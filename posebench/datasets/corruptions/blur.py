"""Gaussian blur, by the deviations of ImageNet-C for images whose longer side is 640 pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_DEVIATIONS, _SIDE = (1.0, 2.0, 3.0, 4.0, 6.0), 640


def blurred(
    image: NDArray[np.uint8], level: int, rng: np.random.Generator, boxes: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) out of focus; nothing is drawn by chance, and no box matters."""
    del rng, boxes
    deviation = _DEVIATIONS[level - 1] * max(image.shape[:2]) / _SIDE
    return cv2.GaussianBlur(image, (0, 0), deviation).astype(np.uint8, copy=False)
