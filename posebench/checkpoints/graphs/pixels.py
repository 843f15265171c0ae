"""Measure, on plain colours, what a graph does to pixels before its first layers.

On a crop of one colour, resizing, padding and the order of axes do not matter: the layers receive a
few numbers, one for each channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Answer = Callable[[tuple[float, float, float]], Sequence[NDArray[Any]]]
"""Maps the values of a plain crop's three channels to the inputs of the first layers."""

_FULL = 255.0
# Black and the three primaries determine the linear map; the last colour checks it.
_COLOURS = ((0.0, 0.0, 0.0), (_FULL, 0.0, 0.0), (0.0, _FULL, 0.0), (0.0, 0.0, _FULL))
_CHECK = (130.0, 40.0, 220.0)
# Normalised crops have values like these.
_DARK = (-1.75, -0.5, -2.25)
# Fraction of the largest value: float16 and quantised integers round by about this much.
_TOLERANCE = 2e-3
_DARK_TOLERANCE = 0.05
_MOST_ROWS = 64


@dataclass(frozen=True)
class Pixels:
    """The k-th channel that the first layers see is `(x[c] - mean[c]) / std[c]`, `c = order[k]`.

    `mean` and `std` are in the order of the graph's input. If the graph does something else,
    `problem` says what, and the other fields have no meaning.
    """

    order: tuple[int, int, int] = (0, 1, 2)
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    problem: str = ""


def measure_pixels(answer: Answer, *, signed: bool = True) -> Pixels:
    """Return what a graph does to pixels between its input and its first layers.

    `signed` tells whether its input can hold values below 0, as normalised crops have.
    """
    black, *primaries, checked = (_values(answer(colour)) for colour in (*_COLOURS, _CHECK))
    if not all(np.isfinite(each).all() for each in (black, *primaries, checked)):
        return Pixels(problem="scales its input by the contents of the crop")
    slopes = np.stack([(each - black) / _FULL for each in primaries], axis=1)
    scale = max(float(np.abs(each).max(initial=0.0)) for each in (black, *primaries))
    off = np.abs(slopes @ np.asarray(_CHECK) + black - checked).max(initial=0.0)
    if off > _TOLERANCE * scale:
        return Pixels(problem="does not scale its input along a straight line")
    rows = _distinct(np.column_stack((slopes, black)))
    if rows is None:
        return Pixels(problem="makes other channels from the three of its input")
    found = _settled(rows)
    if signed and (found.mean, found.std) == (Pixels().mean, Pixels().std) and not found.problem:
        dark = _values(answer(_DARK))
        if not np.allclose(slopes @ np.asarray(_DARK) + black, dark, rtol=0, atol=_DARK_TOLERANCE):
            return Pixels(problem="changes values below 0, which normalised crops have,")
    return found


def _values(arrays: Sequence[NDArray[Any]]) -> Floats:
    return np.concatenate([np.asarray(each, dtype=np.float64).ravel() for each in arrays])


def _distinct(rows: Floats) -> Floats | None:
    """Return the different rows (slopes, value of black) in order of appearance.

    Rows that no channel affects are padding and left out. Returns None if there are too many.
    """
    largest = np.abs(rows[:, :3]).max(initial=0.0)
    found: list[Floats] = []
    left = rows[np.abs(rows[:, :3]).max(axis=1, initial=0.0) > _TOLERANCE * largest]
    tolerance = _TOLERANCE * np.array([*[largest] * 3, max(largest * _FULL, 1e-30)])
    while len(left):
        if len(found) == _MOST_ROWS:
            return None
        found.append(left[0])
        left = left[(np.abs(left - left[0]) > tolerance).any(axis=1)]
    return np.stack(found) if found else np.zeros((0, 4))


def _settled(rows: Floats) -> Pixels:
    if not len(rows):
        return Pixels(problem="removes the colour of plain crops")
    slopes, shifts = rows[:, :3], rows[:, 3]
    large = np.abs(slopes) > _TOLERANCE * np.abs(slopes).max(axis=1, keepdims=True, initial=0.0)
    order = [int(np.argmax(row)) for row in large]
    if len(rows) != 3 or (large.sum(axis=1) != 1).any() or sorted(order) != [0, 1, 2]:
        return Pixels(problem="mixes the channels of its input")
    own = slopes[range(3), order]
    if (own <= 0).any():
        return Pixels(problem="turns light into dark")
    mean, std = np.zeros(3), np.zeros(3)
    mean[order], std[order] = -shifts / own, 1 / own
    first, second, third = order
    return Pixels((first, second, third), _three(mean), _three(std))


def _three(values: Floats) -> tuple[float, float, float]:
    """Round to the six digits that float32 keeps; this also turns −0 into 0."""
    one, two, three = (float(f"{value:.6g}") + 0.0 for value in values)
    return one, two, three


def pixels_from_mapping(record: Mapping[str, Any]) -> Pixels:
    """Return a `Pixels` from its plain JSON data."""
    order, mean, std = (tuple(record[name]) for name in ("order", "mean", "std"))
    return Pixels(order, mean, std, str(record["problem"]))
