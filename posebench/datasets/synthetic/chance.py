"""Random draws that are the same on every machine: only `Generator.random` is used.

`math.sin` may differ in its last bit between C libraries, so angles go through `sin_deg` and
`cos_deg`, which round to 2^-20; all other arithmetic is IEEE-exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")
_GRID = float(1 << 20)


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a uniform number in [low, high)."""
    return low + (high - low) * float(rng.random())


def whole(rng: np.random.Generator, low: int, high: int) -> int:
    """Draw a whole number in [low, high]."""
    return low + int(float(rng.random()) * (high - low + 1))


def bell(rng: np.random.Generator, mean: float, spread: float) -> float:
    """Draw from a triangle of half-width 2 * spread around the mean."""
    return mean + 2.0 * spread * (float(rng.random()) - float(rng.random()))


def happens(rng: np.random.Generator, probability: float) -> bool:
    """Draw true with this probability."""
    return float(rng.random()) < probability


def pick(rng: np.random.Generator, items: Sequence[Item]) -> Item:
    """Draw one item, all equally likely."""
    return items[int(float(rng.random()) * len(items))]


def noise_bytes(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Draw uniform bytes of this shape."""
    block = np.frombuffer(rng.bytes(math.prod(shape)), dtype=np.uint8)
    return block.reshape(shape)


def sin_deg(angle: float) -> float:
    """Return the sine of an angle in degrees, rounded to 2^-20."""
    return math.floor(math.sin(math.radians(angle)) * _GRID + 0.5) / _GRID


def cos_deg(angle: float) -> float:
    """Return the cosine of an angle in degrees, rounded to 2^-20."""
    return math.floor(math.cos(math.radians(angle)) * _GRID + 0.5) / _GRID
