"""Intervals and p-values from bootstrap replicates (Efron & Tibshirani 1993, chapters 13-16)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

IntervalKind = Literal["percentile", "bca"]
INTERVALS: tuple[IntervalKind, ...] = ("percentile", "bca")
CONFIDENCE = 0.95
POWER = 0.8
Bounds = tuple[float, float]
_NORMAL = NormalDist()


def percentile_interval(
    replicates: NDArray[np.float64], confidence: float = CONFIDENCE
) -> Bounds | None:
    """Return the central interval of replicates (B,) without NaNs; None if all are NaN."""
    tail = (1 - confidence) / 2
    return _between(replicates, tail, 1 - tail)


def bca_interval(
    replicates: NDArray[np.float64],
    value: float,
    left_out: NDArray[np.float64],
    confidence: float = CONFIDENCE,
) -> Bounds | None:
    """Return the bias-corrected and accelerated interval around `value`.

    `left_out` (G,) are the values without each group of images; groups of equal size give the same
    acceleration as single images up to noise. NaNs are left out; returns None if all are NaN.
    """
    valid = replicates[~np.isnan(replicates)]
    if not len(valid):
        return None
    below = np.mean(valid < value) + np.mean(valid == value) / 2
    margin = 0.5 / len(valid)
    bias = _NORMAL.inv_cdf(float(np.clip(below, margin, 1 - margin)))
    acceleration = _acceleration(left_out[~np.isnan(left_out)])
    tail = (1 - confidence) / 2
    levels = []
    for level in (tail, 1 - tail):
        shifted = bias + _NORMAL.inv_cdf(level)
        # Beyond this the correction would change direction; the limit is the outermost level.
        scale = max(1 - acceleration * shifted, 1e-9)
        levels.append(_NORMAL.cdf(bias + shifted / scale))
    return _between(valid, *levels)


def _acceleration(left_out: NDArray[np.float64]) -> float:
    """Return a sixth of the skewness of the jackknife's values."""
    if not len(left_out):
        return 0.0
    influence = left_out.mean() - left_out
    spread = float(np.sum(influence**2))
    return 0.0 if spread == 0 else float(np.sum(influence**3)) / (6 * spread**1.5)


def _between(replicates: NDArray[np.float64], low: float, high: float) -> Bounds | None:
    valid = replicates[~np.isnan(replicates)]
    if not len(valid):
        return None
    lower, upper = np.quantile(valid, [low, high])
    return float(lower), float(upper)


def detectable_drop(
    differences: NDArray[np.float64], power: float = POWER, confidence: float = CONFIDENCE
) -> float | None:
    """Return the smallest true difference that one two-sided test finds with this power.

    By the normal approximation: (1.96 + 0.84) times the standard deviation of bootstrap
    replicates of the difference (B,), at 95 % and power 0.8. None where they do not vary.
    """
    valid = differences[~np.isnan(differences)]
    spread = float(np.std(valid, ddof=1)) if len(valid) > 1 else 0.0
    found = (_NORMAL.inv_cdf(1 - (1 - confidence) / 2) + _NORMAL.inv_cdf(power)) * spread
    return found or None


def p_value(differences: NDArray[np.float64]) -> float | None:
    """Return the two-sided p-value of no difference from replicates of one (B,).

    Twice the smaller share of replicates at or beyond 0, the observed data counted among
    them, so never 0; None without replicates.
    """
    valid = differences[~np.isnan(differences)]
    if not len(valid):
        return None
    fewest = min(np.count_nonzero(valid <= 0), np.count_nonzero(valid >= 0))
    return float(min(1.0, 2 * (fewest + 1) / (len(valid) + 1)))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values adjusted for their number by Holm's step-down rule; None stays None."""
    known = [(value, index) for index, value in enumerate(p_values) if value is not None]
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (value, index) in enumerate(sorted(known)):
        highest = max(highest, min(1.0, (len(known) - rank) * value))
        adjusted[index] = highest
    return adjusted
