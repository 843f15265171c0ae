"""Predictions and persons with one type of error corrected, and the tables they score by.

Keypoint errors as Ronchi & Perona 2017; wrong and missing persons as in TIDE (Bolya et al. 2020): a
false positive is removed, and a person that nobody found is no longer counted.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from posebench.scoring.diagnosis.confidence import oracle_scores
from posebench.scoring.diagnosis.keypoint_errors import (
    KeypointErrors,
    KeypointState,
    found_persons,
    without_errors,
)
from posebench.scoring.keypoint_metrics import FOUND_OKS
from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.matching import AREA_RANGES, MatchRules, MatchTable, match
from posebench.scoring.matching.pairing import best_persons
from posebench.scoring.matching.truth import GroundTruth

ErrorType = Literal[
    "miss", "swap", "inversion", "jitter", "score", "duplicate", "background", "false negative"
]
# In the order in which they are corrected one after the other.
ERROR_TYPES: tuple[ErrorType, ...] = get_args(ErrorType)
_KEYPOINT_ERRORS: dict[ErrorType, KeypointState] = {
    "miss": "miss",
    "swap": "swap",
    "inversion": "inversion",
    "jitter": "jitter",
}


@dataclass(frozen=True, eq=False)
class Scored:
    """Persons and the detections to be scored against them."""

    truth: GroundTruth
    detections: Detections


@dataclass(frozen=True, eq=False)
class FalsePositives:
    """Masks (D,) over the rows of a table of `found_persons`: unmatched and not ignored.

    A `duplicate` resembles (OKS 0.1 or more) a person that another detection has matched;
    `background` resembles nobody.
    """

    duplicate: NDArray[np.bool_]
    background: NDArray[np.bool_]


def false_positives(
    truth: GroundTruth, detections: Detections, found: MatchTable
) -> FalsePositives:
    """Tell the two kinds of false positives apart."""
    unmatched = (found.person[0, 0] < 0) & ~found.ignored[0, 0]
    everybody = np.ones(len(truth), dtype=bool)
    like = best_persons(truth, detections, everybody).oks[found.detection] >= FOUND_OKS
    return FalsePositives(unmatched & like, unmatched & ~like)


def missed_persons(truth: GroundTruth, found: MatchTable) -> NDArray[np.bool_]:
    """Return which persons (G,) count and have no detection in a table of `found_persons`."""
    missed = ~truth.ignored
    person = found.person[0, 0]
    missed[person[person >= 0]] = False
    return missed


def corrected(
    scored: Scored, errors: KeypointErrors, error_type: ErrorType, rules: MatchRules
) -> Scored:
    """Correct one type of error; `errors` belong to these detections, whatever their scores now."""
    truth, detections = scored.truth, scored.detections
    if error_type in _KEYPOINT_ERRORS:
        states = (_KEYPOINT_ERRORS[error_type],)
        return Scored(truth, without_errors(truth, detections, errors, states))
    if error_type == "score":
        return Scored(truth, oracle_scores(truth, detections))
    found = found_persons(truth, detections, rules)
    if error_type == "false negative":
        ignored = truth.ignored | missed_persons(truth, found)
        return Scored(dataclasses.replace(truth, ignored=ignored), detections)
    wrong = false_positives(truth, detections, found)
    dropped = wrong.duplicate if error_type == "duplicate" else wrong.background
    return Scored(truth, detections.subset(np.sort(found.detection[~dropped])))


@dataclass(frozen=True, eq=False)
class CorrectedTables:
    """Match tables: as predicted, each error type `alone`, and each with all before it."""

    predicted: MatchTable
    alone: tuple[MatchTable, ...]
    in_order: tuple[MatchTable, ...]


def corrected_tables(scored: Scored, errors: KeypointErrors, rules: MatchRules) -> CorrectedTables:
    """Match after every correction, at the OKS thresholds of `rules`, persons of every size."""
    rules = dataclasses.replace(rules, area_ranges={"all": AREA_RANGES["all"]})
    alone: list[MatchTable] = []
    in_order: list[MatchTable] = []
    last = scored
    for error_type in ERROR_TYPES:
        only = corrected(scored, errors, error_type, rules)
        alone.append(match(only.truth, only.detections, rules))
        # The first correction has none before it.
        last = corrected(last, errors, error_type, rules) if in_order else only
        in_order.append(
            match(last.truth, last.detections, rules) if last is not only else alone[-1]
        )
    predicted = match(scored.truth, scored.detections, rules)
    return CorrectedTables(predicted, tuple(alone), tuple(in_order))
