"""PCK and median errors of resampled images, by integer image weights.

A weight of n is worth n copies of an image, exactly: shares are quotients of sums of counts, and
medians are found among keypoints that are sorted once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from posebench.scoring.statistics.bootstrap import Replicator, Weights
from posebench.scoring.statistics.image_table import ErrorMetric, ImageTable


def error_values(tables: Sequence[ImageTable], metrics: Sequence[ErrorMetric]) -> Replicator:
    """Return a function of weights (B, I) that gives metrics (tables, B, metrics).

    A value is NaN where no keypoint is labelled, and a median where at least half are misses. Every
    table must have errors.
    """
    measures = [[_measure(table, metric) for metric in metrics] for table in tables]

    def values(weights: Weights) -> NDArray[np.float64]:
        return np.stack([np.stack([each(weights) for each in row], axis=1) for row in measures])

    return values


def _measure(table: ImageTable, metric: ErrorMetric) -> Callable[[Weights], NDArray[np.float64]]:
    """Return a function of weights (B, I) that gives a metric (B,)."""
    assert table.errors is not None, "every table must tell every metric"
    errors = table.errors.errors
    if metric.keypoint is not None:
        errors = errors[:, [table.errors.keypoints.index(metric.keypoint)]]
    person, _ = labelled = np.nonzero(~np.isnan(errors))
    image, found = table.errors.image[person], errors[labelled]
    if metric.threshold is None:
        order = np.argsort(found, kind="stable")
        return partial(_medians, image[order], found[order].astype(np.float64))
    near = found <= np.float32(metric.threshold)
    hits, counts = (np.bincount(rows, minlength=table.images) for rows in (image[near], image))
    return partial(_shares, hits, counts)


def _shares(
    hits: NDArray[np.int64], counts: NDArray[np.int64], weights: Weights
) -> NDArray[np.float64]:
    """Return the share (B,) of hits, both by image (I,)."""
    total = weights @ counts
    share: NDArray[np.float64] = np.where(total > 0, weights @ hits / np.maximum(total, 1), np.nan)
    return share


def _medians(
    image: NDArray[np.int64], errors: NDArray[np.float64], weights: Weights
) -> NDArray[np.float64]:
    """Return the median (B,) of ascending errors (L,): the mean of the middle two, as numpy's."""
    result = np.full(len(weights), np.nan)
    running = np.cumsum(np.take(weights, image, axis=1), axis=1, dtype=np.int32)
    for row, counts in enumerate(running):
        total = int(counts[-1]) if len(counts) else 0
        if total:
            middle = [(total - 1) // 2, total // 2]
            low, high = errors[np.searchsorted(counts, middle, side="right")]
            result[row] = (low + high) / 2 if np.isfinite(high) else np.nan
    return result
