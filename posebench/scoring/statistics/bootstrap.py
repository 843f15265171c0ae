"""Metrics of resampled images, by integer image weights: nothing is matched or sorted again.

A weight of n is worth n copies of an image in a row, up to rounding: each detection counts n
times at its place. Detections of one image that share a score take turns, copy by copy, as they
would in a file that holds the image n times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from posebench.scoring.matching.accumulate import RECALLS, metric_thresholds, subset_images
from posebench.scoring.matching.matching import MatchTable
from posebench.scoring.matching.metrics import MatchMetric, Subset

Weights = NDArray[np.int32]
Replicator = Callable[[Weights], NDArray[np.float64]]
"""Weights (B, I) of images to metrics (tables, B, metrics)."""
# Replicates that are worked on together: enough to hide Python's part, few enough for caches.
_AT_LEAST_AT_ONCE = 32
_WEIGHTS_AT_ONCE = 160_000
# Draws with replacement hold an image more often than this in one of a million cases.
_COPIES = 9


def resampled_images(rng: np.random.Generator, images: int, replicates: int) -> Iterator[Weights]:
    """Yield weights (B, I) of `images` draws with replacement each, in blocks of replicates."""
    at_once = _at_once(images)
    for start in range(0, replicates, at_once):
        block = min(at_once, replicates - start)
        draws = rng.integers(images, size=(block, images))
        draws += images * np.arange(block)[:, None]
        counts = np.bincount(draws.ravel(), minlength=block * images)
        yield counts.reshape(block, images).astype(np.int32)


def left_out_images(images: int, groups: int) -> Iterator[Weights]:
    """Yield weights (B, I) that leave out each of `groups` groups of images in turn."""
    group = np.arange(images) % groups
    at_once = _at_once(images)
    for start in range(0, groups, at_once):
        block = np.arange(start, min(start + at_once, groups))
        yield (group != block[:, None]).astype(np.int32)


def _at_once(images: int) -> int:
    return max(_AT_LEAST_AT_ONCE, _WEIGHTS_AT_ONCE // max(images, 1))


def weighted_metrics(
    tables: Sequence[MatchTable], metrics: Sequence[MatchMetric], weights: Iterator[Weights]
) -> NDArray[np.float64]:
    """Return metrics (tables, B, metrics) under image weights, NaN if a subset is empty.

    The tables are of the same images and get the same weights. Values are not rounded as the
    evaluator of a metric may round.
    """
    values = match_values(tables, metrics)
    return np.concatenate([values(block) for block in weights], axis=1)


def match_values(tables: Sequence[MatchTable], metrics: Sequence[MatchMetric]) -> Replicator:
    """Return a function of weights (B, I) that gives metrics (tables, B, metrics)."""

    @lru_cache(maxsize=1)
    def plans(copies: int) -> list[list[_Plan]]:
        return [_plans(table, metrics, copies) for table in tables]

    def values(weights: Weights) -> NDArray[np.float64]:
        copies = _most_copies(weights)
        return np.stack([_block_metrics(plan, metrics, weights) for plan in plans(copies)])

    return values


def _most_copies(weights: Weights) -> int:
    """Return the highest weight, rounded up so that blocks of one kind share a plan."""
    most = int(weights.max(initial=0))
    return 1 if most <= 1 else max(_COPIES, most)


@dataclass(frozen=True, eq=False)
class _Level:
    """One threshold's H right detections, best score first, and S that are ignored only here.

    `column` (H,) and `skipped` (S,) say whose weight counts; `at` (H,) are positions among the
    plan's detections; `before` (H,) how many of the skipped stand in front.
    """

    column: NDArray[np.int64]
    at: NDArray[np.int64]
    skipped: NDArray[np.int64]
    before: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Plan:
    """What one subset's curves need, so that little is left to do for each weight.

    `column` (N,) of detections that count at some threshold: an image or, for those that take
    turns, one copy of it (see `_spread`); `turns` (S,) are images whose copies stand apart, with
    `copies` columns each; `levels` by threshold; `persons` (I,) that count; `rows` thresholds of
    each metric, by its position.
    """

    column: NDArray[np.int64]
    turns: NDArray[np.int64]
    copies: int
    levels: list[_Level]
    persons: NDArray[np.int64]
    rows: dict[int, list[int]]


def _plans(table: MatchTable, metrics: Sequence[MatchMetric], copies: int) -> list[_Plan]:
    positions: dict[Subset, dict[int, list[int]]] = {}
    for index, metric in enumerate(metrics):
        positions.setdefault(metric.subset, {})[index] = metric_thresholds(table, metric)
    return [_plan(table, subset, rows, copies) for subset, rows in positions.items()]


def _plan(table: MatchTable, subset: Subset, rows: dict[int, list[int]], copies: int) -> _Plan:
    images, area = subset_images(table, subset), table.area(subset.area)
    kept = np.flatnonzero(images[table.image] & ~table.ignored[:, area].all(axis=0))
    ignored = table.ignored[:, area, kept]
    right = (table.person[:, area, kept] >= 0) & ~ignored
    image = table.image[kept]
    tie = np.cumsum(
        (np.diff(image, prepend=-1) != 0) | (np.diff(table.scores[kept], prepend=0) != 0)
    )
    apart = _order_matters(tie, right, ~right & ~ignored)
    detection, copy = _in_turns(tie, np.where(apart, copies, 1))
    turns, slot = np.unique(image[apart], return_inverse=True)
    column = image.copy()
    column[apart] = len(images) + copies * slot
    column = column[detection] + copy
    levels = []
    for hit, skip in zip(right[:, detection], ignored[:, detection], strict=True):
        at, skipped = np.flatnonzero(hit), np.flatnonzero(skip)
        levels.append(_Level(column[at], at, column[skipped], np.searchsorted(skipped, at)))
    persons = np.where(images, table.person_count[area], 0)
    return _Plan(column, turns, copies, levels, persons, rows)


def _order_matters(
    tie: NDArray[np.int64], right: NDArray[np.bool_], wrong: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which detections (N,) share image and score with both right and wrong ones.

    `tie` (N,) numbers what shares image and score; `right` and `wrong` are by threshold (T, N).
    """
    both = np.zeros(int(tie.max(initial=0)) + 1, dtype=bool)
    for hit, miss in zip(right, wrong, strict=True):
        both |= (np.bincount(tie[hit], minlength=len(both)) > 0) & (
            np.bincount(tie[miss], minlength=len(both)) > 0
        )
    apart: NDArray[np.bool_] = both[tie]
    return apart


def _in_turns(
    tie: NDArray[np.int64], times: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return detections so often as `times` (N,) says and their copies' numbers, in order.

    All of a tie come once before any of them comes again.
    """
    detection = np.repeat(np.arange(len(tie)), times)
    copy = np.arange(len(detection)) - np.repeat(np.cumsum(times) - times, times)
    order = np.lexsort((detection, copy, tie[detection]))
    return detection[order], copy[order]


def _spread(weights: Weights, plan: _Plan) -> Weights:
    """Return the weight of each column: of images, then 1 for each copy that is there, else 0."""
    if not len(plan.turns):
        return weights
    there = weights[:, plan.turns, None] > np.arange(plan.copies)
    return np.hstack([weights, there.reshape(len(weights), -1).astype(np.int32)])


def _block_metrics(
    plans: list[_Plan], metrics: Sequence[MatchMetric], weights: Weights
) -> NDArray[np.float64]:
    result = np.empty((len(weights), len(metrics)))
    for plan in plans:
        average, recall = _curves(plan, weights)
        for index, rows in plan.rows.items():
            values = average if metrics[index].measure == "precision" else recall
            result[:, index] = values[:, rows].mean(axis=1)
    return result


def _curves(plan: _Plan, weights: Weights) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return average precision and recall (B, T) of one subset."""
    persons = weights @ plan.persons
    some = persons > 0
    wanted, stride = _wanted_counts(persons), int(persons.max(initial=0)) + 1
    spread = _spread(weights, plan)
    total = _running(spread, plan.column)
    average = np.full((len(weights), len(plan.levels)), np.nan)
    recall = np.full(average.shape, np.nan)
    for row, level in enumerate(plan.levels):
        hits = _running(spread, level.column)
        counted = np.take(total, level.at + 1, axis=1)
        if len(level.skipped):
            counted -= np.take(_running(spread, level.skipped), level.before, axis=1)
        precision = _precision_at(hits[:, 1:], counted, wanted, stride)
        average[some, row] = precision.mean(axis=1)[some]
        recall[some, row] = hits[some, -1] / persons[some]
    return average, recall


def _running(weights: Weights, column: NDArray[np.int64]) -> Weights:
    """Return the sums (B, N + 1) of the weights of the first 0 to N of these columns."""
    sums = np.zeros((len(weights), len(column) + 1), dtype=np.int32)
    np.cumsum(np.take(weights, column, axis=1), axis=1, out=sums[:, 1:])
    return sums


def _wanted_counts(persons: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the fewest right detections (B, R) whose recall evaluators take for each level."""
    total = np.maximum(persons, 1)[:, None]
    count = np.ceil(RECALLS * total).astype(np.int64)
    count -= (count - 1) / total >= RECALLS
    count += count / total < RECALLS
    return count


def _precision_at(
    hits: Weights, counted: Weights, wanted: NDArray[np.int64], stride: int
) -> NDArray[np.float64]:
    """Return the best precision at or after each wanted count of hits (B, R), 0 if unreached.

    `hits` and `counted` (B, H) are right and counted detections up to each right one.
    """
    block, right = hits.shape
    if right == 0:
        return np.zeros(wanted.shape)
    envelope = np.zeros((block, right + 1))
    np.divide(hits, counted + np.spacing(1), out=envelope[:, :-1])
    np.maximum.accumulate(envelope[:, -2::-1], axis=1, out=envelope[:, -2::-1])
    # One search for all replicates: each row of counts lies `stride` above the one before.
    above = stride * np.arange(block)[:, None]
    where = np.searchsorted((hits + above).ravel(), (wanted + above).ravel())
    where = where.reshape(wanted.shape) - right * np.arange(block)[:, None]
    return np.take_along_axis(envelope, where, axis=1)
