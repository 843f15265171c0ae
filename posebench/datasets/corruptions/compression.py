"""JPEG compression, by the qualities of ImageNet-C."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_QUALITIES = (25, 18, 15, 10, 7)


def compressed(
    image: NDArray[np.uint8], level: int, rng: np.random.Generator, boxes: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) that was a JPEG; nothing is drawn by chance."""
    del rng, boxes
    quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITIES[level - 1]]
    _, encoded = cv2.imencode(".jpg", image, quality)
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR).astype(np.uint8, copy=False)
