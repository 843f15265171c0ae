"""Lines and polygons: the pixels of OpenCV 4.11 under every version."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np

from posebench.datasets.synthetic.drawing import draw_line, fill_convex

# Computed by `cv2.line` and `cv2.fillPoly` of OpenCV 4.11.0.
LINES = "ada9f75430d03f2acd0ee63e28bf32e2800adbe875cb7db977e656cc39c10328"
POLYGONS = "d3ab1cc3d3894a96c43970b7c2ee3f038858ddbeea9ee248074ec467a6698466"
SHAPE = (60, 90)


def some_points(rng: np.random.Generator, margin: int) -> list[tuple[int, int]]:
    """Return the ends of a line or corners of a leaning quadrangle, in and around an image."""
    x, y = (int(rng.integers(-margin, side + margin)) for side in reversed(SHAPE))
    return [(x, y), (x + int(rng.integers(22, 80)), y)]


def test_lines_are_those_of_one_version() -> None:
    rng, total = np.random.default_rng(0), hashlib.sha256()
    for _ in range(600):
        image = np.zeros(SHAPE, np.uint8)
        start, stop = some_points(rng, 20)[0], some_points(rng, 20)[0]
        draw_line(image, start, stop, (9,), int(rng.integers(1, 10)))
        total.update(image.tobytes())
    assert total.hexdigest() == LINES


def test_polygons_are_those_of_one_version() -> None:
    rng, total = np.random.default_rng(0), hashlib.sha256()
    for _ in range(600):
        image = np.zeros(SHAPE, np.uint8)
        (x, y), (right, _) = some_points(rng, 20)
        fill_convex(image, [(x, y), (right, y), (right - 10, y - 12), (x + 10, y - 12)], (9,))
        total.update(image.tobytes())
    assert total.hexdigest() == POLYGONS


def test_inside_of_the_image_all_versions_agree() -> None:
    corners = [(20, 40), (60, 40), (50, 28), (30, 28)]
    ours, theirs = np.zeros((2, *SHAPE, 3), np.uint8)
    fill_convex(ours, corners, (1, 2, 3))
    cv2.fillPoly(theirs, [np.array(corners, np.int32)], (1, 2, 3))
    assert np.array_equal(ours, theirs)
