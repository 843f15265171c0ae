"""Affine maps of many triangles at once, equal to `cv2.getAffineTransform` bit for bit.

OpenCV solves six equations for each by elimination with row pivoting (`core/src/matrix_decomp.cpp`,
`LUImpl`); every step is taken here in its order, for all triangles together.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

# OpenCV takes a pivot below this for zero, and answers zeros.
_SINGULAR = 100 * np.finfo(np.float64).eps
_UNKNOWNS = 6


def affine_maps(source: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the maps (N, 2, 3) that take the corners `source` (N, 3, 2) to `target` (3, 2)."""
    return _solved(source, target) if _is_exact() else _one_by_one(source, target)


@lru_cache(maxsize=1)
def _is_exact() -> bool:
    """Tell whether OpenCV rounds as this module does, which depends on its compiler."""
    rng = np.random.default_rng(0)
    source = rng.uniform(-100, 1000, (64, 3, 2)).astype(np.float32)
    # Corners of boxes, as crops have them: two share x, and two share y.
    source[:, 1, 1], source[:, 2, 0] = source[:, 0, 1], source[:, 1, 0]
    target = np.array([[96, 128], [0, 128], [0, 224]], dtype=np.float32)
    return np.array_equal(_solved(source, target), _one_by_one(source, target))


def _one_by_one(source: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.float64]:
    maps = np.empty((len(source), 2, 3))
    for row, corners in enumerate(source):
        maps[row] = cv2.getAffineTransform(corners, target)
    return maps


def _solved(source: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.float64]:
    rows = np.zeros((_UNKNOWNS, _UNKNOWNS + 1, len(source)))
    for corner in range(3):
        x_row, y_row = rows[2 * corner], rows[2 * corner + 1]
        x_row[:2] = y_row[3:5] = source[:, corner].T
        x_row[2] = y_row[5] = 1
        x_row[-1], y_row[-1] = target[corner]
    # Boxes without area, or that are not finite, have no map: they divide by zero.
    with np.errstate(all="ignore"):
        singular = _eliminate(rows)
        for i in reversed(range(_UNKNOWNS)):
            for k in range(i + 1, _UNKNOWNS):
                rows[i, -1] -= rows[i, k] * rows[k, -1]
            rows[i, -1] /= rows[i, i]
    rows[:, -1, singular] = 0
    maps: NDArray[np.float64] = rows[:, -1].T.reshape(-1, 2, 3)
    return maps


def _eliminate(rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Make equations (6, 7, N) triangular in place; tell which of the N have no solution."""
    every = np.arange(rows.shape[2])
    singular = np.zeros(len(every), dtype=np.bool_)
    for i in range(_UNKNOWNS):
        size, pivot = np.abs(rows[i, i]), np.full(len(every), i)
        for j in range(i + 1, _UNKNOWNS):
            larger = np.abs(rows[j, i]) > size
            size, pivot = np.where(larger, np.abs(rows[j, i]), size), np.where(larger, j, pivot)
        singular |= size < _SINGULAR
        chosen = rows[pivot, :, every].T
        rows[pivot, :, every] = rows[i].T
        rows[i] = chosen
        inverse = -1 / rows[i, i]
        for j in range(i + 1, _UNKNOWNS):
            rows[j, i + 1 :] += (rows[j, i] * inverse) * rows[i, i + 1 :]
    return singular
