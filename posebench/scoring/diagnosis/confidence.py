"""What scores are worth: their calibration against OKS, and AP if they were OKS themselves."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebench.scoring.diagnosis.keypoint_errors import found_persons
from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.matching import MatchRules, MatchTable
from posebench.scoring.matching.pairing import best_persons, one_to_one
from posebench.scoring.matching.truth import GroundTruth

BINS = 10


@dataclass(frozen=True)
class ReliabilityBin:
    """Detections with scores from `low` to below `high` (the last bin includes its end)."""

    low: float
    high: float
    count: int
    mean_score: float | None
    mean_oks: float | None


@dataclass(frozen=True)
class Calibration:
    """How well scores predict the OKS with the most similar person, which is 0 without one.

    `ece` is the mean over detections of |mean score - mean OKS| of their bin, in bins of equal
    width over 0-1; scores outside (`outside` of `detections`) count as 0 or 1. It is None if more
    than half are outside, because such scores are no probabilities. `rank_correlation` (Spearman)
    rates only the order; it is None if scores or OKS are constant.
    """

    bins: tuple[ReliabilityBin, ...]
    ece: float | None
    rank_correlation: float | None
    detections: int
    outside: int


def oracle_scores(truth: GroundTruth, detections: Detections) -> Detections:
    """Return the detections with OKS as their score, at most one detection for each person.

    The most similar pairs are matched first; detections left over, such as duplicates, score 0.
    """
    return dataclasses.replace(detections, scores=one_to_one(truth, detections, ~truth.ignored).oks)


def counted_oks(
    truth: GroundTruth, detections: Detections, rules: MatchRules
) -> NDArray[np.float64]:
    """Return OKS with the most similar person, NaN where a detection does not count.

    The detections (D,) are those of a match table under these rules, in its order.
    """
    found = found_persons(truth, detections, rules)
    oks = best_persons(truth, detections, ~truth.ignored).oks[found.detection]
    return np.where(found.ignored[0, 0], np.nan, oks)


def calibration(
    truth: GroundTruth, detections: Detections, found: MatchTable, bins: int = BINS
) -> Calibration:
    """Compare scores with OKS over the detections that count in `found` (from `found_persons`)."""
    rows = found.detection[~found.ignored[0, 0]]
    oks = best_persons(truth, detections, ~truth.ignored).oks[rows]
    raw = detections.scores[rows]
    scores = np.clip(raw, 0, 1)
    outside = int(np.count_nonzero(scores != raw))
    where = np.minimum((scores * bins).astype(np.int64), bins - 1)
    count = np.bincount(where, minlength=bins)
    score_sums = np.bincount(where, scores, minlength=bins)
    oks_sums = np.bincount(where, oks, minlength=bins)
    gap = np.abs(score_sums - oks_sums).sum()
    return Calibration(
        bins=tuple(
            ReliabilityBin(
                low=index / bins,
                high=(index + 1) / bins,
                count=int(number),
                mean_score=float(score_sums[index] / number) if number else None,
                mean_oks=float(oks_sums[index] / number) if number else None,
            )
            for index, number in enumerate(count)
        ),
        ece=float(gap / len(rows)) if 2 * outside <= len(rows) > 0 else None,
        rank_correlation=_rank_correlation(raw, oks),
        detections=len(rows),
        outside=outside,
    )


def _rank_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(_mean_ranks(a), _mean_ranks(b))[0, 1])


def _mean_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks (N,); equal values share the mean of their ranks."""
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(size)
    mean: NDArray[np.float64] = (last - (size - 1) / 2)[group]
    return mean
