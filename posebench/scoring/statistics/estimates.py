"""Metrics with their intervals: every table of a report gets the same image resamples.

What `posebench score` and `posebench eval` show beside each number.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebench.errors import UsageError
from posebench.scoring.matching.matching import MatchTable
from posebench.scoring.matching.metrics import MatchMetric
from posebench.scoring.statistics.bootstrap import (
    Replicator,
    Weights,
    left_out_images,
    match_values,
    resampled_images,
)
from posebench.scoring.statistics.image_table import (
    CalibrationMetric,
    DistanceMetric,
    ErrorMetric,
    ImageTable,
    Recipe,
)
from posebench.scoring.statistics.intervals import (
    Bounds,
    IntervalKind,
    bca_interval,
    p_value,
    percentile_interval,
)
from posebench.scoring.statistics.weighted_calibration import calibration_values
from posebench.scoring.statistics.weighted_distances import distance_values
from posebench.scoring.statistics.weighted_errors import error_values

# Groups of images that are left out in turn to find the skewness a BCa interval needs.
_JACKKNIFE_GROUPS = 200
# More replicates move the ends of an interval by less than anybody reads.
MOST_REPLICATES = 100_000


def check_replicates(replicates: int) -> None:
    """Check that more resamples are not asked for than say anything new.

    Raises `UsageError` if `replicates` is not in 0 to `MOST_REPLICATES`.
    """
    if not 0 <= replicates <= MOST_REPLICATES:
        raise UsageError(
            f"{replicates} replicates are out of range: 0 to {MOST_REPLICATES}.",
            hint="1000 are usual; 10000 for small adjusted p-values.",
        )


@dataclass(frozen=True)
class Resampling:
    """How intervals are made: image resamples, their seed, and the kind of interval."""

    replicates: int = 1000
    seed: int = 0
    interval: IntervalKind = "percentile"

    def __post_init__(self) -> None:
        check_replicates(self.replicates)


@dataclass(frozen=True)
class Estimate:
    """A fraction 0-1, or a difference of two, with its 95 % interval; None if undefined.

    `p` is the two-sided p-value of a difference, `p_holm` the same adjusted over all
    differences of the report.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None

    @property
    def interval(self) -> Bounds | None:
        """The ends of the interval, None without one."""
        return None if self.low is None or self.high is None else (self.low, self.high)


def estimate_of(
    value: float, draws: NDArray[np.float64] | None, *, with_p: bool = False
) -> Estimate:
    """Return a value with the interval of its resamples (B,), without one if there are none.

    `with_p` adds the p-value of a difference.
    """
    if draws is None:
        return Estimate(value)
    low, high = percentile_interval(draws) or (None, None)
    return Estimate(value, low, high, p_value(draws) if with_p else None)


@dataclass(frozen=True, eq=False)
class Sampled:
    """Metrics of resamples (F, B, M), and without groups of images (F, G, M), of F tables."""

    replicates: NDArray[np.float64]
    left_out: NDArray[np.float64] | None

    def estimates(
        self, table: int, values: Mapping[str, float | None], base: int | None = None
    ) -> dict[str, Estimate]:
        """Return values with intervals; of differences, if `base` names the table to subtract."""
        sampled = self.replicates[table] - (0 if base is None else self.replicates[base])
        result = {}
        for column, (name, value) in enumerate(values.items()):
            draws = sampled[:, column]
            if self.left_out is None or value is None:
                bounds = percentile_interval(draws) if value is not None else None
            else:
                without = self.left_out[table] - (0 if base is None else self.left_out[base])
                bounds = bca_interval(draws, value, without[:, column])
            low, high = bounds or (None, None)
            p = p_value(draws) if base is not None and value is not None else None
            result[name] = Estimate(value, low, high, p)
        return result


def image_replicates(
    tables: Sequence[ImageTable],
    metrics: Sequence[Recipe],
    replicates: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return metrics (F, B, M) of B resamples of the images, the same ones for all F tables.

    Every table must tell every metric.
    """
    return _weighted(tables, metrics, resampled_images(rng, tables[0].images, replicates))


def resample(
    tables: Sequence[ImageTable],
    metrics: Sequence[Recipe],
    resampling: Resampling,
    mask: NDArray[np.int32] | None = None,
) -> Sampled:
    """Return the metrics of resampled images, the same ones for all tables.

    Under a `mask` (I,) of the images, 0 or 1, the others do not count.
    """

    def weighted(weights: Iterator[Weights]) -> NDArray[np.float64]:
        own = weights if mask is None else (block * mask for block in weights)
        return _weighted(tables, metrics, own)

    images = tables[0].images
    if not resampling.replicates:
        return Sampled(np.full((len(tables), 0, len(metrics)), np.nan), None)
    rng = np.random.default_rng(resampling.seed)
    replicates = weighted(resampled_images(rng, images, resampling.replicates))
    if resampling.interval == "percentile":
        return Sampled(replicates, None)
    groups = left_out_images(images, min(images, _JACKKNIFE_GROUPS))
    return Sampled(replicates, weighted(groups))


def masked_metrics(
    table: ImageTable,
    metric: Recipe,
    masks: Sequence[NDArray[np.int32]],
    resampling: Resampling,
) -> tuple[list[float], Sampled]:
    """Return a metric of a table under each of M masks (I,) of its images, 0 or 1, with resamples.

    All masks meet the same resamples, and stand in `Sampled` for its tables. Values are NaN where
    nobody is left.
    """
    everything = np.ones((1, table.images), dtype=np.int32)
    values = [
        float(_weighted([table], [metric], iter([everything * mask]))[0, 0, 0]) for mask in masks
    ]
    sampled = [resample([table], [metric], resampling, mask) for mask in masks]
    left_out = [each.left_out for each in sampled if each.left_out is not None]
    return values, Sampled(
        np.concatenate([each.replicates for each in sampled]),
        np.concatenate(left_out) if left_out else None,
    )


def _weighted(
    tables: Sequence[ImageTable], metrics: Sequence[Recipe], weights: Iterator[Weights]
) -> NDArray[np.float64]:
    """Return metrics (F, B, M) under image weights."""
    matched = [metric for metric in metrics if isinstance(metric, MatchMetric)]
    located = [metric for metric in metrics if isinstance(metric, ErrorMetric)]
    calibrated = [metric for metric in metrics if isinstance(metric, CalibrationMetric)]
    distant = [metric for metric in metrics if isinstance(metric, DistanceMetric)]
    parts, made = list[Replicator](), list[Recipe]()
    for part in dict.fromkeys(metric.part for metric in matched):
        own = [metric for metric in matched if metric.part == part]
        parts.append(_mean_values([table.matches_of(part) for table in tables], own))
        made += own
    if located:
        parts.append(error_values(tables, located))
    if calibrated:
        parts.append(calibration_values(tables, calibrated))
    if distant:
        parts.append(distance_values(tables, distant))
    made += [*located, *calibrated, *distant]
    blocks = [np.concatenate([part(block) for part in parts], axis=2) for block in weights]
    return np.concatenate(blocks, axis=1)[..., [made.index(metric) for metric in metrics]]


def _mean_values(
    tables: Sequence[Sequence[MatchTable]], metrics: Sequence[MatchMetric]
) -> Replicator:
    """Return a function of weights (B, I) that gives metrics (F, B, M), means over categories.

    `tables` are those of each category for each of F.
    """
    columns = [match_values(column, metrics) for column in zip(*tables, strict=True)]
    if len(columns) == 1:
        return columns[0]

    def means(weights: Weights) -> NDArray[np.float64]:
        return _known_mean(np.stack([values(weights) for values in columns], axis=1))

    return means


def mean_of_tables(sampled: Sampled, group: int) -> Sampled:
    """Return the metrics of each `group` tables in a row as their mean, empty ones left out.

    Evaluators take the mean over the categories that have somebody in the same way.
    """
    if group == 1:
        return sampled
    left_out = None if sampled.left_out is None else _grouped_mean(sampled.left_out, group)
    return Sampled(_grouped_mean(sampled.replicates, group), left_out)


def _grouped_mean(values: NDArray[np.float64], group: int) -> NDArray[np.float64]:
    return _known_mean(values.reshape(len(values) // group, group, *values.shape[1:]))


def _known_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the second axis of what is known, NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a resample without anybody
        return np.asarray(np.nanmean(values, axis=1))
