"""Image-bootstrap intervals on errors and their costs, for one model and for two compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebench.errors import EvaluationError
from posebench.scoring.diagnosis.corrections import ERROR_TYPES
from posebench.scoring.diagnosis.diagnosis import AP, COUNTED, Diagnosis, error_costs
from posebench.scoring.statistics.bootstrap import resampled_images, weighted_metrics
from posebench.scoring.statistics.intervals import (
    CONFIDENCE,
    Bounds,
    holm,
    p_value,
    percentile_interval,
)


@dataclass(frozen=True)
class Estimate:
    """A value (0-1) with its percentile interval; None if there is nothing to count."""

    value: float | None
    interval: Bounds | None


@dataclass(frozen=True)
class Difference:
    """Candidate minus baseline, with the interval and p-value of the paired bootstrap.

    `p_holm` is adjusted over the shares or over the costs of one pair of models.
    """

    value: float | None
    interval: Bounds | None
    p_value: float | None
    p_holm: float | None


@dataclass(frozen=True)
class ErrorEstimates:
    """Shares by what is counted, and the AP that correcting each error alone regains."""

    shares: dict[str, Estimate]
    regained: dict[str, Estimate]


@dataclass(frozen=True)
class ErrorDifferences:
    """Differences of two models' `ErrorEstimates` on the same images."""

    shares: dict[str, Difference]
    regained: dict[str, Difference]


@dataclass(frozen=True, eq=False)
class ErrorReplicates:
    """Values of M models, and of B resamplings of the images, the same for all models.

    `shares` (M, E), `regained` (M, C); `share_replicates` (M, B, E), `regained_replicates` (M, B,
    C). NaN if there is nothing to count.
    """

    shares: NDArray[np.float64]
    regained: NDArray[np.float64]
    share_replicates: NDArray[np.float64]
    regained_replicates: NDArray[np.float64]


def resample_errors(
    diagnoses: Sequence[Diagnosis], replicates: int, rng: np.random.Generator
) -> ErrorReplicates:
    """Resample images with replacement, the same draws for all models.

    Raises `EvaluationError` if the models have different images.
    """
    images = diagnoses[0].tables.predicted.image_ids
    for other in diagnoses[1:]:
        if not np.array_equal(images, other.tables.predicted.image_ids):
            raise EvaluationError("Errors of two models compare only on the same images.")
    weights = list(resampled_images(rng, len(images), replicates))
    tables = [
        table
        for diagnosis in diagnoses
        for table in (diagnosis.tables.predicted, *diagnosis.tables.alone)
    ]
    values = weighted_metrics(tables, (AP,), iter(weights))[..., 0]
    values = values.reshape(len(diagnoses), -1, values.shape[1])
    once = np.ones((1, len(images)), dtype=np.int32)
    return ErrorReplicates(
        shares=np.concatenate([_shares(diagnosis, once) for diagnosis in diagnoses]),
        regained=np.array([_regained(diagnosis) for diagnosis in diagnoses]),
        share_replicates=np.stack(
            [
                np.concatenate([_shares(diagnosis, block) for block in weights])
                for diagnosis in diagnoses
            ]
        ),
        regained_replicates=(values[:, 1:] - values[:, :1]).transpose(0, 2, 1),
    )


def _shares(diagnosis: Diagnosis, weights: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the shares (B, E) under image weights (B, I), NaN if nothing counts."""
    counts, out_of = weights @ diagnosis.counts.counts, weights @ diagnosis.counts.out_of
    return np.where(out_of > 0, counts / np.maximum(out_of, 1), np.nan)


def _regained(diagnosis: Diagnosis) -> list[float]:
    return [np.nan if cost.alone is None else cost.alone for cost in error_costs(diagnosis)]


def error_estimates(
    replicates: ErrorReplicates, model: int, confidence: float = CONFIDENCE
) -> ErrorEstimates:
    """Return one model's shares and costs with their intervals."""

    def estimate(value: float, column: NDArray[np.float64]) -> Estimate:
        return Estimate(_known(value), percentile_interval(column, confidence))

    shares, regained = replicates.share_replicates[model], replicates.regained_replicates[model]
    return ErrorEstimates(
        {
            name: estimate(replicates.shares[model, index], shares[:, index])
            for index, name in enumerate(COUNTED)
        },
        {
            name: estimate(replicates.regained[model, index], regained[:, index])
            for index, name in enumerate(ERROR_TYPES)
        },
    )


def error_differences(
    replicates: ErrorReplicates,
    baseline: int = 0,
    candidate: int = 1,
    confidence: float = CONFIDENCE,
) -> ErrorDifferences:
    """Return candidate minus baseline, both resampled by the same draws."""
    pair = [baseline, candidate]
    return ErrorDifferences(
        _differences(
            COUNTED, replicates.shares[pair], replicates.share_replicates[pair], confidence
        ),
        _differences(
            ERROR_TYPES, replicates.regained[pair], replicates.regained_replicates[pair], confidence
        ),
    )


def _differences(
    names: Sequence[str],
    values: NDArray[np.float64],
    replicates: NDArray[np.float64],
    confidence: float,
) -> dict[str, Difference]:
    """Return second minus first of values (2, E) with replicates (2, B, E), by name."""
    value, many = values[1] - values[0], replicates[1] - replicates[0]
    found = [
        None if np.isnan(value[index]) else p_value(many[:, index]) for index in range(len(names))
    ]
    return {
        name: Difference(
            _known(value[index]),
            percentile_interval(many[:, index], confidence),
            found[index],
            adjusted,
        )
        for index, (name, adjusted) in enumerate(zip(names, holm(found), strict=True))
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
