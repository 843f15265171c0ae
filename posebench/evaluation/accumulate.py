"""Precision and recall from a match table, and the numbers evaluators average from them.

Must equal `accumulate` and `summarize` of pycocotools' and xtcocotools' `cocoeval.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebench.errors import EvaluationError
from posebench.evaluation.matching import MatchTable
from posebench.evaluation.metrics import Metric, Subset

RECALLS = np.linspace(0.0, 1.0, 101)
ABSENT = -1.0


@dataclass(frozen=True, eq=False)
class Curves:
    """Precision (T, R, A) and the score it is reached at (T, R, A) by recall, recall (T, A).

    All are -1 in area ranges without persons.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    scores: NDArray[np.float64]


def subset_images(table: MatchTable, subset: Subset) -> NDArray[np.bool_]:
    """Return which images (I,) belong to a subset; raise `EvaluationError` without crowdIndex."""
    if subset.crowd_index is None:
        return np.ones(len(table.image_ids), dtype=bool)
    if table.crowd_index is None:
        raise EvaluationError("Strata by crowdIndex need images that have one.")
    low, below = subset.crowd_index
    return (table.crowd_index >= low) & (table.crowd_index < below)


def accumulate(table: MatchTable, images: NDArray[np.bool_] | None = None) -> Curves:
    """Return the curves of all images, or of those in the mask `images` (I,)."""
    kept = slice(None) if images is None else images[table.image]
    counts = table.person_count if images is None else table.person_count[:, images]
    scores, ignored = table.scores[kept], table.ignored[..., kept]
    matched = table.matched[..., kept]
    shape = (len(table.rules.thresholds), len(RECALLS), len(table.rules.area_ranges))
    curves = Curves(np.full(shape, ABSENT), np.full(shape[::2], ABSENT), np.full(shape, ABSENT))
    for area, persons in enumerate(counts.sum(axis=1)):
        if persons == 0:
            continue
        for threshold in range(shape[0]):
            hit, counted = matched[threshold, area], ~ignored[threshold, area]
            right = np.cumsum(hit & counted).astype(np.float64)
            wrong = np.cumsum(~hit & counted).astype(np.float64)
            where = np.searchsorted(right / persons, RECALLS, side="left")
            reached = where < len(scores)
            precision = right / (wrong + right + np.spacing(1))
            envelope = np.maximum.accumulate(precision[::-1])[::-1]
            at = (threshold, slice(None), area)
            curves.precision[at] = _at(envelope, where, reached)
            curves.scores[at] = _at(scores, where, reached)
            curves.recall[threshold, area] = right[-1] / persons if len(right) else 0.0
    return curves


def _at(
    values: NDArray[np.float64], where: NDArray[np.intp], reached: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return values at positions, 0 where the recall is not reached."""
    result = np.zeros(len(where))
    result[reached] = values[where[reached]]
    return result


def summarise(table: MatchTable, metrics: Sequence[Metric]) -> dict[str, float | None]:
    """Return each metric's value (0-1) by name, None where its subset has no person."""
    curves = {
        span: accumulate(table, None if span is None else subset_images(table, metric.subset))
        for metric in metrics
        for span in [metric.subset.crowd_index]
    }
    return {
        metric.name: _value(curves[metric.subset.crowd_index], table, metric) for metric in metrics
    }


def metric_thresholds(table: MatchTable, metric: Metric) -> list[int]:
    """Return positions of the thresholds a metric is averaged over."""
    thresholds = table.rules.thresholds
    if metric.threshold is None:
        return list(range(len(thresholds)))
    found = [index for index, value in enumerate(thresholds) if value == metric.threshold]
    if not found:
        raise EvaluationError(f"{metric.name} needs OKS threshold {metric.threshold}.")
    return found


def _value(curves: Curves, table: MatchTable, metric: Metric) -> float | None:
    area = table.area(metric.subset.area)
    rows = curves.precision if metric.measure == "precision" else curves.recall
    chosen = rows[metric_thresholds(table, metric), ..., area]
    if chosen.flat[0] == ABSENT:
        return None
    value = np.mean(chosen)
    return float(value if metric.decimals is None else round(value, metric.decimals))
