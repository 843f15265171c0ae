"""Precision and recall from a match table, and the numbers evaluators average from them.

Must equal `accumulate` and `summarize` of pycocotools' and xtcocotools' `cocoeval.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebench.errors import EvaluationError
from posebench.scoring.matching.matching import MatchTable
from posebench.scoring.matching.metrics import MatchMetric, Subset

RECALLS = np.linspace(0.0, 1.0, 101)
ABSENT = -1.0


@dataclass(frozen=True, eq=False)
class Curves:
    """Precision (T, R, A) by recall, the score that reaches it (T, R, A), and recall (T, A).

    All are -1 in area ranges without persons.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    scores: NDArray[np.float64]


def subset_images(table: MatchTable, subset: Subset) -> NDArray[np.bool_]:
    """Return which images (I,) belong to a subset.

    Raises `EvaluationError` if it asks for a crowdIndex and images have none.
    """
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
    right = (table.person[..., kept] >= 0) & ~ignored
    shape = (len(table.rules.thresholds), len(RECALLS), len(table.rules.area_ranges))
    curves = Curves(np.full(shape, ABSENT), np.full(shape[::2], ABSENT), np.full(shape, ABSENT))
    for area, persons in enumerate(counts.sum(axis=1)):
        for threshold in range(shape[0] if persons else 0):
            at = (threshold, slice(None), area)
            hits = np.flatnonzero(right[threshold, area])
            skipped = np.flatnonzero(ignored[threshold, area])
            curves.precision[at], curves.scores[at] = _curve(hits, skipped, scores, persons)
            curves.recall[threshold, area] = len(hits) / persons
    return curves


def _curve(
    hits: NDArray[np.intp],
    skipped: NDArray[np.intp],
    scores: NDArray[np.float64],
    persons: np.int64,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision and score (R,) at each recall level, 0 if it is not reached.

    `hits` and `skipped` are positions in `scores` (D,) of right and of ignored detections.
    Between two hits precision only falls, so the envelope needs the hits alone.
    """
    right = np.arange(1, len(hits) + 1, dtype=np.float64)
    counted = hits + 1 - np.searchsorted(skipped, hits)
    precision = right / (counted + np.spacing(1))
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    where = np.searchsorted(right / persons, RECALLS, side="left")
    reached = where < len(hits)
    at_level, score = np.zeros(len(RECALLS)), np.zeros(len(RECALLS))
    at_level[reached] = envelope[where[reached]]
    score[reached] = scores[hits[where[reached]]]
    score[0] = scores[0] if len(scores) else 0  # recall 0 is reached by any detection
    return at_level, score


def summarise(table: MatchTable, metrics: Sequence[MatchMetric]) -> dict[str, float | None]:
    """Return each metric's value (0-1) by name, None if its subset has no person."""
    subsets = {metric.subset.crowd_index: metric.subset for metric in metrics}
    curves = {
        span: accumulate(table, None if span is None else subset_images(table, subset))
        for span, subset in subsets.items()
    }
    return {
        metric.name: _value(curves[metric.subset.crowd_index], table, metric) for metric in metrics
    }


def metric_thresholds(table: MatchTable, metric: MatchMetric) -> list[int]:
    """Return positions of the thresholds a metric is averaged over."""
    thresholds = table.rules.thresholds
    if metric.threshold is None:
        return list(range(len(thresholds)))
    # 0.9 of a metric's record is 0.8999999999999999 among those that COCO's evaluator spaces.
    found = [i for i, value in enumerate(thresholds) if math.isclose(value, metric.threshold)]
    if not found:
        raise EvaluationError(
            f"{metric.name} needs OKS threshold {metric.threshold}.",
            hint=f"Persons were matched at: {', '.join(f'{value:g}' for value in thresholds)}.",
        )
    return found


def _value(curves: Curves, table: MatchTable, metric: MatchMetric) -> float | None:
    area = table.area(metric.subset.area)
    rows = curves.precision if metric.measure == "precision" else curves.recall
    chosen = rows[metric_thresholds(table, metric), ..., area]
    if chosen.flat[0] == ABSENT:
        return None
    value = np.mean(chosen)
    return float(value if metric.decimals is None else round(value, metric.decimals))
