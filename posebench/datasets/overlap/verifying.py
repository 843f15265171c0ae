"""Is one image a copy of another? Both resized alike, and correlated where they overlap best."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# Correlations from which images are copies, of all and of their details. Of 953 copies of pictures
# (JPEG of quality 30 to 95, resized, mirrored, cropped by a tenth at any place) the least have 0.92
# and 0.80; of five million pairs of others, 9 have more than 0.88, and then 0.30 at most.
CORRELATION, DETAIL = 0.88, 0.55
_SIZE = 96
_SHARES = (1.0, 0.98, 0.96, 0.94, 0.92, 0.9, 0.88, 0.86)
# Details are what a blur of so many pixels takes away; windows may be a pixel or two off.
_BLUR, _STEPS, _SLACK = 2.0, (-1, 0, 1), 2
# Contrast below which an image is like every other, in grey levels.
_FLAT = 3.0


@dataclass(frozen=True)
class Copy:
    """How one image lies in another: x, y, width and height as shares of the other's sides.

    `flipped` says that it is mirrored, `correlation` how alike they are, at most 1. Shares beyond 1
    mean that the other one was cropped.
    """

    correlation: float
    flipped: bool
    window: tuple[float, float, float, float]


def copy_of(one: NDArray[np.uint8], other: NDArray[np.uint8], flipped: bool) -> Copy | None:
    """Return how `other` lies in `one`, both (H, W) in grey; None if neither is of the other.

    `flipped` says whether to mirror `other` first.
    """
    if flipped:
        other = np.ascontiguousarray(other[:, ::-1])
    best: tuple[float, tuple[float, float, float, float]] | None = None
    for correlation, window in (*_within(one, other), *map(_turned, _within(other, one))):
        if best is None or correlation > best[0]:
            best = correlation, window
    if best is None or best[0] < CORRELATION or _detail(one, other, best[1]) < DETAIL:
        return None
    return Copy(round(best[0], 4), flipped, best[1])


def _detail(
    one: NDArray[np.uint8], other: NDArray[np.uint8], window: tuple[float, float, float, float]
) -> float:
    """Return the correlation of details where `other` lies in `one`, the best within some pixels.

    Two pictures of a few large shapes may correlate well, but not in their details.
    """
    if max(window[2:]) > 1:
        one, other = other, one
        _, window = _turned((0.0, window))
    factor = _SIZE / max(one.shape)
    columns, rows = round(factor * one.shape[1]), round(factor * one.shape[0])
    canvas = _details(_resized(one, columns, rows))
    left, top = (
        max(0, round(window[0] * columns) - _SLACK),
        max(0, round(window[1] * rows) - _SLACK),
    )
    best = 0.0
    for more_wide in _STEPS:
        for more_high in _STEPS:
            wide = min(columns, round(window[2] * columns) + more_wide)
            high = min(rows, round(window[3] * rows) + more_high)
            region = canvas[top : top + high + 2 * _SLACK, left : left + wide + 2 * _SLACK]
            if region.shape[0] >= high and region.shape[1] >= wide:
                part = _details(_resized(other, wide, high))
                scores = cv2.matchTemplate(region, part, cv2.TM_CCOEFF_NORMED)
                best = max(best, float(scores.max()))
    return best


def _details(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    fine = image.astype(np.float32)
    return np.asarray(fine - cv2.GaussianBlur(fine, (0, 0), _BLUR), dtype=np.float32)


_Place = tuple[float, tuple[float, float, float, float]]


def _within(whole: NDArray[np.uint8], part: NDArray[np.uint8]) -> Iterator[_Place]:
    """Yield correlation and window of `part` in `whole` for each share that it may cover."""
    height, width = whole.shape
    factor = _SIZE / max(height, width)
    canvas = _resized(whole, round(factor * width), round(factor * height))
    rows, columns = canvas.shape
    aspect = part.shape[0] / part.shape[1]
    sizes = {(columns, rows)}
    for share in _SHARES:
        sizes.add((round(share * columns), round(share * columns * aspect)))
        sizes.add((round(share * rows / aspect), round(share * rows)))
    for wide, high in sorted(sizes):
        if not (0.8 * columns <= wide <= columns and 0.8 * rows <= high <= rows):
            continue
        template = _resized(part, wide, high)
        if template.std() < _FLAT or canvas.std() < _FLAT:
            continue
        scores = cv2.matchTemplate(canvas, template, cv2.TM_CCOEFF_NORMED)
        _, score, _, (x, y) = cv2.minMaxLoc(scores)
        yield float(score), (x / columns, y / rows, wide / columns, high / rows)


def _turned(place: _Place) -> _Place:
    """Return the window of the whole in a part's shares, from that of the part in the whole's."""
    correlation, (x, y, w, h) = place
    return correlation, (-x / w, -y / h, 1 / w, 1 / h)


def _resized(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    size = max(width, 1), max(height, 1)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
