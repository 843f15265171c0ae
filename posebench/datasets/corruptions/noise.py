"""Gaussian noise, by the deviations of ImageNet-C (Hendrycks & Dietterich 2019)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_DEVIATIONS = (0.08, 0.12, 0.18, 0.26, 0.38)


def noisy(
    image: NDArray[np.uint8], level: int, rng: np.random.Generator, boxes: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) with noise; `boxes` do not matter."""
    del boxes
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noise *= 255 * _DEVIATIONS[level - 1]
    found: NDArray[np.uint8] = np.clip(image + noise, 0, 255).astype(np.uint8)
    return found
