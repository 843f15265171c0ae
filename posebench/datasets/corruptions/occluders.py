"""Occluders: a patch of noise over a share of every person's box, at a place drawn by chance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Share of the box that is covered.
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)
_DEVIATION = 25.0


def occluded(
    image: NDArray[np.uint8], level: int, rng: np.random.Generator, boxes: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) with a patch on each of the boxes (P, 4), x, y, w, h.

    A patch has the proportions of its box; patches of higher levels grow around those of lower
    ones as far as the box allows.
    """
    found: NDArray[np.uint8] = image.copy()
    height, width = image.shape[:2]
    for x, y, w, h in boxes:
        place = rng.random(2)
        colour = rng.integers(0, 256, 3).astype(np.float32)
        seed = int(rng.integers(2**31))
        side = np.sqrt(SHARES[level - 1])
        left, top = x + place[0] * (1 - side) * w, y + place[1] * (1 - side) * h
        x1, x2 = (round(float(np.clip(v, 0, width))) for v in (left, left + side * w))
        y1, y2 = (round(float(np.clip(v, 0, height))) for v in (top, top + side * h))
        noise = np.random.default_rng(seed).normal(0, _DEVIATION, (y2 - y1, x2 - x1, 3))
        found[y1:y2, x1:x2] = np.clip(colour + noise, 0, 255).astype(np.uint8)
    return found
