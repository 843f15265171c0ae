"""Truncation: a share of every person's box is black from one side, as beyond an image's border."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Share of the box that is cut off.
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)
# Each way to cut: the axis, 0 for x, and whether from its end. People are cut below most often.
_SIDES = ((1, True), (1, True), (0, False), (0, True), (1, False))


def truncated(
    image: NDArray[np.uint8], level: int, rng: np.random.Generator, boxes: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) in which each of the boxes (P, 4), x, y, w, h, is cut off."""
    found: NDArray[np.uint8] = image.copy()
    for box in boxes:
        axis, is_end = _SIDES[int(rng.integers(len(_SIDES)))]
        low, high = box[:2].copy(), box[:2] + box[2:]
        cut = SHARES[level - 1] * box[2 + axis]
        if is_end:
            low[axis] = high[axis] - cut
        else:
            high[axis] = low[axis] + cut
        limit = (image.shape[1], image.shape[0])
        (x1, y1), (x2, y2) = (np.rint(np.clip(p, 0, limit)).astype(int) for p in (low, high))
        found[y1:y2, x1:x2] = 0
    return found
