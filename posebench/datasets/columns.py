"""Turn lists of numbers in JSON rows into arrays, without a loop over single numbers."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.checks.findings import are_numbers


def number_column(values: list[Any]) -> NDArray[np.float64]:
    """Return finite numbers as an array (N,).

    True and false count as 1 and 0, as evaluators take them. Raises `ValueError`, `TypeError` or
    `OverflowError` if a value is anything else, such as text or None.
    """
    return _finite(array("d", values))


def number_matrix(lists: Sequence[Any], width: int) -> NDArray[np.float64]:
    """Return lists of `width` finite numbers as rows (N, width).

    Raises what `number_column` does, and `ValueError` if a list has another length.
    """
    if set(map(len, lists)) - {width}:
        raise ValueError("not lists of one length")
    values = array("d")
    for numbers in lists:
        values.fromlist(numbers)
    return _finite(values).reshape(len(lists), width)


def _finite(values: array[float]) -> NDArray[np.float64]:
    found = np.asarray(values)
    if not np.isfinite(found).all():
        raise ValueError("not finite")
    return found


def sound_numbers(
    lists: Sequence[Any], width: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return which of N JSON values are lists of `width` finite numbers (N,), and those (n, width).

    Unlike evaluators, it does not count true and false as numbers.
    """
    try:
        values = number_matrix(lists, width)
        if set(map(type, chain.from_iterable(lists))) <= {int, float}:
            return np.ones(len(lists), dtype=bool), values
    except (TypeError, ValueError, OverflowError):
        pass
    sound = [are_numbers(value, width) for value in lists]
    kept = [value for value, good in zip(lists, sound, strict=True) if good]
    return np.array(sound, dtype=bool), number_matrix(kept, width)
