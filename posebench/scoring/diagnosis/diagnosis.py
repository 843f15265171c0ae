"""What goes wrong in predictions, how often, and what each type of error costs in AP.

After Ronchi & Perona 2017, with duplicates told apart from background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebench.scoring.diagnosis.confidence import Calibration, calibration
from posebench.scoring.diagnosis.corrections import (
    ERROR_TYPES,
    CorrectedTables,
    Scored,
    corrected_tables,
    false_positives,
    missed_persons,
)
from posebench.scoring.diagnosis.keypoint_errors import (
    STATES,
    UNLABELLED,
    KeypointErrors,
    found_persons,
    keypoint_errors,
)
from posebench.scoring.keypoint_metrics import FOUND_OKS
from posebench.scoring.matching.accumulate import summarise
from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.matching import MatchRules, MatchTable
from posebench.scoring.matching.metrics import MatchMetric
from posebench.scoring.matching.pairing import best_persons
from posebench.scoring.matching.truth import GroundTruth

AP = MatchMetric("AP", "precision")
# What is counted: the errors, and good keypoints.
COUNTED: tuple[str, ...] = ("good", *ERROR_TYPES)


@dataclass(frozen=True, eq=False)
class ErrorCounts:
    """Counts (I, E) by image in the order of `COUNTED`, and their denominators (I, E).

    Keypoint states are counted out of the labelled keypoints of matched persons; the others are
    counted per person that counts, so that duplicates and background may exceed 1.
    """

    counts: NDArray[np.int64]
    out_of: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Everything found out about one set of predictions, ready to be resampled by image."""

    errors: KeypointErrors
    counts: ErrorCounts
    tables: CorrectedTables
    calibration: Calibration


@dataclass(frozen=True)
class ErrorCost:
    """One type of error: how often, and the AP (0-1) regained by its correction.

    `count` of `out_of` keypoints or persons; `alone` is the AP regained if nothing else is
    corrected, `in_order` the AP regained on top of all types before it. Both are None if there is
    no AP.
    """

    name: str
    count: int
    out_of: int
    alone: float | None
    in_order: float | None

    @property
    def share(self) -> float | None:
        """`count` per `out_of`, or None if that is 0."""
        return self.count / self.out_of if self.out_of else None


def diagnose(
    truth: GroundTruth,
    detections: Detections,
    flip_indices: Sequence[int],
    rules: MatchRules | None = None,
) -> Diagnosis:
    """Classify every error and score the predictions without each; `flip_indices` (K) mirror."""
    rules = rules or MatchRules()
    found = found_persons(truth, detections, rules)
    errors = keypoint_errors(truth, detections, found, flip_indices)
    return Diagnosis(
        errors=errors,
        counts=_count(truth, detections, found, errors),
        tables=corrected_tables(Scored(truth, detections), errors, rules),
        calibration=calibration(truth, detections, found),
    )


def average_precision(table: MatchTable) -> float | None:
    """Return AP over all thresholds of a table, None without persons."""
    return summarise(table, (AP,))[AP.name]


def error_costs(diagnosis: Diagnosis) -> tuple[ErrorCost, ...]:
    """Return what each type of error costs, in the order of correction."""
    counts, out_of = diagnosis.counts.counts.sum(axis=0), diagnosis.counts.out_of.sum(axis=0)
    predicted = average_precision(diagnosis.tables.predicted)
    before, costs = predicted, []
    for index, name in enumerate(ERROR_TYPES):
        alone = average_precision(diagnosis.tables.alone[index])
        after = average_precision(diagnosis.tables.in_order[index])
        costs.append(
            ErrorCost(
                name=name,
                count=int(counts[COUNTED.index(name)]),
                out_of=int(out_of[COUNTED.index(name)]),
                alone=_gain(predicted, alone),
                in_order=_gain(before, after),
            )
        )
        before = after
    return tuple(costs)


def _gain(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def remaining_loss(diagnosis: Diagnosis) -> float | None:
    """Return how far AP stays below 1 with all errors corrected.

    A corrected keypoint is not on its label: a miss lies at similarity 0.5 from it, jitter at 0.85,
    inversions and swaps as near as they were to the wrong place.
    """
    return _gain(average_precision(diagnosis.tables.in_order[-1]), 1.0)


def state_counts(errors: KeypointErrors) -> NDArray[np.int64]:
    """Return how many of each keypoint (K, states) are in each of `STATES`."""
    states = np.arange(len(STATES))
    counts: NDArray[np.int64] = np.count_nonzero(errors.state[..., None] == states, axis=0)
    return counts


def _count(
    truth: GroundTruth, detections: Detections, found: MatchTable, errors: KeypointErrors
) -> ErrorCounts:
    images = len(truth.image_ids)

    def by_image(image: NDArray[np.int64], weights: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(image, weights, minlength=images).astype(np.int64)

    def ones_by_image(image: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(image, minlength=images)

    owner = truth.image[errors.person]
    wrong = false_positives(truth, detections, found)
    counts: dict[str, NDArray[np.int64]] = {
        name: by_image(owner, (errors.state == code).sum(axis=1))
        for code, name in enumerate(STATES)
    }
    counts["score"] = ones_by_image(truth.image[outscored_persons(truth, detections, found)])
    counts["duplicate"] = ones_by_image(found.image[wrong.duplicate])
    counts["background"] = ones_by_image(found.image[wrong.background])
    counts["false negative"] = ones_by_image(truth.image[missed_persons(truth, found)])
    labelled = by_image(owner, (errors.state != UNLABELLED).sum(axis=1))
    persons = found.person_count[0]
    return ErrorCounts(
        np.stack([counts[name] for name in COUNTED], axis=1),
        np.stack([labelled if name in STATES else persons for name in COUNTED], axis=1),
    )


def outscored_persons(
    truth: GroundTruth, detections: Detections, found: MatchTable
) -> NDArray[np.int64]:
    """Return persons whose most similar detection has a lower score than another one of theirs.

    A detection belongs to its most similar person, if their OKS is 0.1 or more.
    """
    rows = found.detection[~found.ignored[0, 0]]
    best = best_persons(truth, detections, ~truth.ignored)
    rows = rows[best.oks[rows] >= FOUND_OKS]
    person, oks = best.row[rows], best.oks[rows]
    highest = np.zeros(len(truth))
    np.maximum.at(highest, person, oks)
    # Rows come best score first.
    owners, first = np.unique(person, return_index=True)
    outscored: NDArray[np.int64] = owners[oks[first] < highest[owners]]
    return outscored
