"""Fingerprints of images: a perceptual hash with its values kept, of a whole image and of parts.

A fingerprint is the low frequencies of a 32x32 picture's cosine transform, as in pHash (Zauner
2010), weighed by frequency, so that the products of two fingerprints tell how alike images are and
not only how alike their light is. Parts are what is left when a tenth is cut away somewhere.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from posebench.datasets.images.reading import read_gray
from posebench.errors import DataError

# x, y, width and height of parts, as shares of the image; the first is the whole.
PARTS: tuple[tuple[float, float, float, float], ...] = (
    (0.0, 0.0, 1.0, 1.0),
    (0.05, 0.05, 0.9, 0.9),
    (0.0, 0.0, 0.9, 0.9),
    (0.1, 0.0, 0.9, 0.9),
    (0.0, 0.1, 0.9, 0.9),
    (0.1, 0.1, 0.9, 0.9),
    (0.0, 0.0, 0.9, 1.0),
    (0.1, 0.0, 0.9, 1.0),
    (0.0, 0.0, 1.0, 0.9),
    (0.0, 0.1, 1.0, 0.9),
)
_SIDE, _FREQUENCIES = 32, 8
# Images are compared at this size: the longer side in pixels.
COMPARED = 160


def small_gray(path: Path) -> NDArray[np.uint8] | None:
    """Return an image in grey, its longer side `COMPARED` pixels; None if it cannot be read."""
    try:
        image = read_gray(path, at_least=COMPARED)
    except DataError:
        return None
    height, width = image.shape
    factor = COMPARED / max(height, width)
    size = max(1, round(factor * width)), max(1, round(factor * height))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8, copy=False)


def fingerprints(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the fingerprints (parts, F) of an image (H, W) and its parts, each of length 1."""
    height, width = image.shape
    pictures = np.empty((len(PARTS), _SIDE, _SIDE), dtype=np.float32)
    for index, (x, y, w, h) in enumerate(PARTS):
        left, top = round(x * width), round(y * height)
        right, bottom = round((x + w) * width), round((y + h) * height)
        part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
        pictures[index] = cv2.resize(part, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return _normalised(_BASIS @ pictures @ _BASIS.T)


def mirrored(prints: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the fingerprints (N, F) of mirrored pictures: odd frequencies change sign."""
    return prints * _MIRROR


def _basis() -> NDArray[np.float32]:
    """Return the first cosines (frequencies, side)."""
    place = (np.arange(_SIDE) + 0.5) / _SIDE
    cosines = np.cos(np.pi * np.arange(_FREQUENCIES)[:, None] * place)
    return cosines.astype(np.float32)


def _normalised(spectrum: NDArray[np.float32]) -> NDArray[np.float32]:
    flat = (spectrum * _WEIGHT).reshape(len(spectrum), -1)[:, 1:]
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    # An image of one colour has no fingerprint, and is like no other.
    found: NDArray[np.float32] = np.where(lengths > 1.0, flat / np.maximum(lengths, 1.0), 0.0)
    return found.astype(np.float32, copy=False)


_BASIS = _basis()
_FREQUENCY = np.add.outer(np.arange(_FREQUENCIES), np.arange(_FREQUENCIES))
# Natural pictures have amplitudes of about one over the frequency.
_WEIGHT = _FREQUENCY.astype(np.float32) ** 0.75
_MIRROR = np.where(np.arange(_FREQUENCIES) % 2, -1.0, 1.0).astype(np.float32)
_MIRROR = np.tile(_MIRROR, _FREQUENCIES)[1:]
