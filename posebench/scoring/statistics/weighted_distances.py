"""Metrics by distance of resampled images, by integer image weights, exactly as of copies.

Each is a quotient of sums over images: right or distant keypoints over those that count, of each
kind of keypoint or of all together. Sums are in double precision, where MMPose adds distances up in
single: its EPE and NME are right to 6 or 7 digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from posebench.scoring.statistics.bootstrap import Replicator, Weights
from posebench.scoring.statistics.image_table import DistanceMetric, ErrorTable, ImageTable

# The steps of MMPose's `AUC`.
AUC_STEPS = 20


def distance_values(tables: Sequence[ImageTable], metrics: Sequence[DistanceMetric]) -> Replicator:
    """Return a function of weights (B, I) that gives metrics (tables, B, metrics).

    A value is NaN where nothing counts, and a mean where a person has no result. Every table must
    have the distances.
    """
    measures = [[_measure(table, metric) for metric in metrics] for table in tables]

    def values(weights: Weights) -> NDArray[np.float64]:
        return np.stack([np.stack([each(weights) for each in row], axis=1) for row in measures])

    return values


def distance_value(table: ImageTable, metric: DistanceMetric) -> float | None:
    """Return a metric of all images, None where nothing counts or a mean's person has no result."""
    value = float(_measure(table, metric)(np.ones((1, table.images), dtype=np.int32))[0])
    return None if np.isnan(value) else value


def _columns(table: ErrorTable, metric: DistanceMetric) -> NDArray[np.float32]:
    """Return the errors (P, k) of the keypoints that a metric counts."""
    if metric.keypoints is None:
        return table.errors
    return table.errors[:, [table.keypoints.index(name) for name in metric.keypoints]]


def _measure(table: ImageTable, metric: DistanceMetric) -> Callable[[Weights], NDArray[np.float64]]:
    """Return a function of weights (B, I) that gives a metric (B,)."""
    distances = table.distances[metric.scale]
    errors = _columns(distances, metric)
    missing = np.isinf(errors) if metric.measure == "mean" else np.zeros(errors.shape, dtype=bool)
    sums, counts, lost = (
        _by_image(values, distances.image, table.images)
        for values in (_worth(errors, metric), ~np.isnan(errors), missing)
    )
    return partial(_quotients, sums, counts, lost.sum(axis=1), metric.pooled)


def _worth(errors: NDArray[np.float32], metric: DistanceMetric) -> NDArray[np.float64]:
    """Return what each keypoint (P, k) adds to the sum: a hit, a share of hits, or a distance."""
    if metric.measure == "mean":
        return np.where(np.isfinite(errors), errors, 0).astype(np.float64)
    if metric.measure == "share":
        return np.asarray(errors < np.float32(metric.threshold), dtype=np.float64)
    steps = [np.float32(step / AUC_STEPS) for step in range(AUC_STEPS)]
    return np.asarray(np.sum([errors < step for step in steps], axis=0) / AUC_STEPS)


def _by_image(
    values: NDArray[np.generic], image: NDArray[np.int64], images: int
) -> NDArray[np.float64]:
    """Return the sums (I, k) of values (P, k) by image."""
    found = np.zeros((images, values.shape[1]))
    np.add.at(found, image, values)
    return found


def _quotients(
    sums: NDArray[np.float64],
    counts: NDArray[np.float64],
    lost: NDArray[np.float64],
    pooled: bool,
    weights: Weights,
) -> NDArray[np.float64]:
    """Return the metric (B,): of all keypoints together, or the mean of each kind's."""
    total, number = weights @ sums, weights @ counts
    if pooled:
        total, number = total.sum(axis=1, keepdims=True), number.sum(axis=1, keepdims=True)
    kinds = np.count_nonzero(number, axis=1)
    each = np.divide(total, number, out=np.zeros_like(total), where=number > 0)
    value: NDArray[np.float64] = np.where(
        (kinds > 0) & (weights @ lost == 0), each.sum(axis=1) / np.maximum(kinds, 1), np.nan
    )
    return value
