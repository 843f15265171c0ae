"""Pictures that are drawn in a millisecond, no two alike, and copies as people make them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
SIZE = (240, 320)


def picture(index: int, seed: int = 0) -> Image:
    """Draw a horizon, a light and some twenty shapes over it; half of them alike in their light."""
    rng = np.random.default_rng([seed, index])
    height, width = SIZE
    down = np.linspace(rng.uniform(150, 230), rng.uniform(30, 110), height)[:, None, None]
    image = np.broadcast_to(down, (height, width, 3)).astype(np.uint8).copy()
    for _ in range(int(rng.integers(12, 28))):
        colour = rng.integers(0, 256, 3).tolist()
        x, y = int(rng.integers(width)), int(rng.integers(height))
        w, h = (int(v) for v in rng.integers(8, 90, 2))
        shape = int(rng.integers(3))
        if shape == 0:
            cv2.ellipse(image, (x, y), (w, h), int(rng.integers(180)), 0, 360, colour, -1)
        elif shape == 1:
            cv2.rectangle(image, (x, y), (x + w, y + h), colour, -1)
        else:
            points = rng.integers(0, 120, (3, 2)) + np.array([x - 60, y - 60])
            cv2.fillPoly(image, [points.astype(np.int32)], colour)
    noisy: Image = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    return noisy


def _cropped(image: Image, rng: np.random.Generator, across: bool, down: bool) -> Image:
    height, width = image.shape[:2]
    y = int(rng.integers(height // 10 + 1)) if down else 0
    x = int(rng.integers(width // 10 + 1)) if across else 0
    high, wide = int((0.9 if down else 1) * height), int((0.9 if across else 1) * width)
    return image[y : y + high, x : x + wide]


def _resized(image: Image, factor: float) -> Image:
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8)


COPIES: Mapping[str, Callable[[Image, np.random.Generator], Image]] = {
    "encoded anew": lambda image, _: image,
    "smaller": lambda image, _: _resized(image, 0.6),
    "larger": lambda image, _: _resized(image, 1.7),
    "mirrored": lambda image, _: image[:, ::-1],
    "cropped": lambda image, rng: _cropped(image, rng, across=True, down=True),
    "narrower": lambda image, rng: _cropped(image, rng, across=True, down=False),
    "lower": lambda image, rng: _cropped(image, rng, across=False, down=True),
    "cropped, smaller and mirrored": lambda image, rng: _resized(
        _cropped(image, rng, across=True, down=True), 0.7
    )[:, ::-1],
}


def write_picture(path: Path, image: Any, quality: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.ascontiguousarray(image), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return path
