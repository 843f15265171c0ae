"""Lines and polygons, which versions of OpenCV clip differently.

`cv2.fillPoly` changed in 4.11 and thick `cv2.line` in 4.13. The pixels here are those of 4.11 under
every version: only calls whose pixels agree from 4.8 to 5.0 are used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Point: TypeAlias = tuple[int, int]
Image: TypeAlias = NDArray[np.uint8]
# OpenCV's fixed point: coordinates in 1/65536 pixel.
_SHIFT = 16
_ONE = 1 << _SHIFT


def draw_line(
    image: Image, start: Point, stop: Point, colour: Sequence[int], thickness: int
) -> None:
    """Draw a line with round ends; points in pixels, which may lie outside the image."""
    if thickness == 1:
        cv2.line(image, start, stop, colour, 1)
        return
    (x0, y0), (x1, y1) = start, stop
    dx, dy = x0 - x1, y1 - y0
    if dx or dy:
        half = (thickness + (thickness & 1)) * _ONE / 2 / math.sqrt(dx * dx + dy * dy)
        right, down = round(dy * half), round(dx * half)
        corners = [(x * _ONE + sign * right, y * _ONE + sign * down)
                   for x, y, sign in ((x0, y0, 1), (x0, y0, -1), (x1, y1, -1), (x1, y1, 1))
                   ]  # fmt: skip
        cv2.fillConvexPoly(image, np.array(corners, np.int32), colour, cv2.LINE_8, _SHIFT)
    for end in (start, stop):
        cv2.circle(image, end, (thickness + 1) // 2, colour, -1)


def fill_convex(image: Image, corners: Sequence[Point], colour: Sequence[int]) -> None:
    """Fill a convex polygon with its outline; corners in pixels, perhaps outside the image."""
    height, width = image.shape[:2]
    crossings: dict[int, list[int]] = {}
    for start, stop in zip(corners, [*corners[1:], corners[0]], strict=True):
        cv2.line(image, start, stop, colour, 1)
        if start[1] != stop[1]:
            for row, x in _crossings((0, 0, width, height), start, stop):
                crossings.setdefault(row, []).append(x)
    for row, ends in crossings.items():
        left, right = -(-min(ends) >> _SHIFT), max(ends) >> _SHIFT
        if 0 <= row < height:
            image[row, max(left, 0) : max(right + 1, 0)] = colour


def _crossings(
    frame: tuple[int, int, int, int], start: Point, stop: Point
) -> list[tuple[int, int]]:
    """Return the rows of an edge except the lowest, each with x in 1/65536 pixel.

    The slope is that of the part within the frame, whose ends are whole pixels.
    """
    _, first, last = cv2.clipLine(frame, start, stop)
    rise = (first[1], last[1]) if first[1] != last[1] else (start[1], stop[1])
    run = (last[0] - first[0]) * _ONE
    step = abs(run) // abs(rise[1] - rise[0])
    if (run < 0) != (rise[1] < rise[0]):
        step = -step
    anchor = (first[0], rise[0]) if start[1] < stop[1] else (last[0], rise[1])
    rows = range(min(start[1], stop[1]), max(start[1], stop[1]))
    return [(row, anchor[0] * _ONE + (row - anchor[1]) * step) for row in rows]
