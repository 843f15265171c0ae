"""Fog: white clouds of several sizes over the image, which take away its contrast."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# How white the densest fog is, and how much thinner it may be elsewhere.
_DENSITIES = (0.3, 0.42, 0.54, 0.66, 0.78)
_THINNER = 0.4
_WHITE = 235.0
# Cells across the image of the coarsest clouds, and how often they are halved.
_COARSEST, _OCTAVES = 3, 5


def foggy(
    image: NDArray[np.uint8], level: int, rng: np.random.Generator, boxes: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) in fog; `boxes` do not matter."""
    del boxes
    density = _DENSITIES[level - 1] * (1 - _THINNER * _clouds(image.shape[:2], rng))
    share = density[..., None].astype(np.float32)
    return np.rint(image * (1 - share) + _WHITE * share).astype(np.uint8)


def _clouds(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return clouds (H, W) from 0 to 1: noise of halving size and weight."""
    height, width = shape
    total = np.zeros((height, width), dtype=np.float32)
    for octave in range(_OCTAVES):
        cells = _COARSEST * 2**octave + 1
        grid = rng.random((cells, cells), dtype=np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)
