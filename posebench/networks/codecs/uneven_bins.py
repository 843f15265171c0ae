"""Bins at places of their own instead of at equal distances, such as quantiles of training data."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.errors import SpecError
from posebench.networks.sizes import InputSize

BinPositions = tuple[tuple[float, ...], tuple[float, ...]]
"""Places of the x and of the y bins, ascending, as fractions of the input's width and height."""

_TOLERANCE = 1e-6
_LEAST_STEP = 1e-9


def check_positions(positions: BinPositions) -> None:
    """Raise `SpecError` if places are no fractions, do not ascend, or x places have no mirror."""
    for axis, places in zip("xy", map(np.asarray, positions), strict=True):
        if len(places) < 2 or not ((places >= 0) & (places <= 1)).all():
            raise SpecError(f"positions: {axis} needs two bins or more, at 0 to 1 of the side.")
        if not (np.diff(places) > 0).all():
            raise SpecError(f"positions: the {axis} bins must ascend.")
    across = np.asarray(positions[0])
    if np.ptp(across + across[::-1]) > _TOLERANCE:
        raise SpecError(
            "positions: x bins must lie alike from the left and from the right, because crops are"
            " mirrored.",
            hint="quantile_positions makes such bins.",
        )


def nearest_bins(places: NDArray[np.float32], coordinates: NDArray[Any]) -> NDArray[np.int64]:
    """Return the index of the place nearest to each coordinate; of two, the higher one."""
    middles = (places[1:] + places[:-1]) / 2
    return np.searchsorted(middles, coordinates, side="right")


def quantile_positions(
    coordinates: NDArray[np.floating[Any]], count: tuple[int, int], size: InputSize
) -> BinPositions:
    """Return places of which as many coordinates are nearest to each: quantiles of either axis.

    `coordinates` (P, 2), x then y, are those of labelled keypoints in crops of `size`, in pixels;
    those outside count as on the border. `count` is the number of x and of y bins. Each x counts
    as its mirror image too. Raises `SpecError` without coordinates.
    """
    if len(coordinates) == 0:
        raise SpecError("Bins at quantiles need labelled keypoints inside their crops.")
    last = np.array([size.width - 1, size.height - 1])
    inside = np.clip(np.asarray(coordinates, dtype=np.float64), 0, last)
    across = np.concatenate((inside[:, 0], last[0] - inside[:, 0]))
    x = _quantiles(across, count[0]) / size.width
    x = (x + (last[0] / size.width - x[::-1])) / 2
    y = _quantiles(inside[:, 1], count[1]) / size.height
    return tuple(x.tolist()), tuple(y.tolist())


def _quantiles(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return the middle of each of `count` equal shares of the values, strictly ascending."""
    quantiles: NDArray[np.float64] = np.quantile(values, (np.arange(count) + 0.5) / count)
    steps = np.arange(count) * _LEAST_STEP
    ascending: NDArray[np.float64] = np.maximum.accumulate(quantiles - steps) + steps
    return ascending
