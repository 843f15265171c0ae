"""Calibration errors of resampled images, by integer image weights, exactly as of copies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from posebench.scoring.statistics.bootstrap import Replicator, Weights
from posebench.scoring.statistics.image_table import CalibrationMetric, ImageTable


def calibration_values(
    tables: Sequence[ImageTable], metrics: Sequence[CalibrationMetric]
) -> Replicator:
    """Return a function of weights (B, I) that gives metrics (tables, B, metrics).

    A value is NaN where no detection counts, or most scores are no probabilities. Every table must
    have OKS.
    """
    measures = [[_measure(table, metric.bins) for metric in metrics] for table in tables]

    def values(weights: Weights) -> NDArray[np.float64]:
        return np.stack([np.stack([each(weights) for each in row], axis=1) for row in measures])

    return values


def _measure(table: ImageTable, bins: int) -> Callable[[Weights], NDArray[np.float64]]:
    """Return a function of weights (B, I) that gives the calibration error (B,)."""
    assert table.oks is not None, "every table must tell every metric"
    counted = ~np.isnan(table.oks)
    image, raw = table.matches.image[counted], table.matches.scores[counted]
    scores = np.clip(raw, 0, 1)
    place = image * bins + np.minimum((scores * bins).astype(np.int64), bins - 1)
    excess = scores - table.oks[counted]
    gaps = np.asarray(np.bincount(place, excess, table.images * bins), dtype=np.float64)
    counts = np.bincount(image, minlength=table.images)
    outside = np.bincount(image[scores != raw], minlength=table.images)
    return partial(_errors, gaps.reshape(-1, bins), counts, outside)


def _errors(
    gaps: NDArray[np.float64],
    counts: NDArray[np.int64],
    outside: NDArray[np.int64],
    weights: Weights,
) -> NDArray[np.float64]:
    """Return the error (B,) by each image's gaps (I, bins) and counts (I,) of detections."""
    total = weights @ counts
    known = (total > 0) & (2 * (weights @ outside) <= total)
    error = np.abs(weights @ gaps).sum(axis=1) / np.maximum(total, 1)
    found: NDArray[np.float64] = np.where(known, error, np.nan)
    return found
