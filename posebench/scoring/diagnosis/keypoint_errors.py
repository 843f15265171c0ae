"""What is wrong with each keypoint of a matched detection, and the pose without that error.

Definitions of Ronchi & Perona 2017 ("Benchmarking and Error Diagnosis in Multi-Instance Pose
Estimation"), as in their coco-analyze; distances of corrections use (2σ)² like the similarity,
where coco-analyze's use σ².
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from posebench.scoring.keypoint_metrics import FOUND_OKS
from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.matching import AREA_RANGES, MatchRules, MatchTable, match
from posebench.scoring.matching.truth import GroundTruth

KeypointState = Literal["good", "jitter", "inversion", "swap", "miss"]
STATES: tuple[KeypointState, ...] = get_args(KeypointState)
GOOD, JITTER, INVERSION, SWAP, MISS = range(len(STATES))
UNLABELLED = -1
# Similarity of a keypoint to a place: above the first it is good there, below the second not near.
GOOD_SIMILARITY, NEAR_SIMILARITY = 0.85, 0.5
# Corrected keypoints lie this far inside their limit: OKS thresholds have the same values, and
# rounding must not decide on which side of one a pose comes to lie.
_INSIDE = 1e-9


@dataclass(frozen=True, eq=False)
class KeypointErrors:
    """States of the keypoints of M detections that each have a person.

    `detection`, `person` (M,) rows of the detections and of the truth; `state` (M, K)
    positions in `STATES`, -1 where not labelled; `similarity` (M, K) of a keypoint to the
    nearest place it could be meant for: its own, its mirror partner's, another person's.
    """

    detection: NDArray[np.int64]
    person: NDArray[np.int64]
    state: NDArray[np.int8]
    similarity: NDArray[np.float64]


def found_persons(truth: GroundTruth, detections: Detections, rules: MatchRules) -> MatchTable:
    """Match at the single threshold OKS 0.1, persons of every size: who is found at all."""
    return match(truth, detections, _found_rules(rules))


def _found_rules(rules: MatchRules) -> MatchRules:
    return MatchRules(
        thresholds=(FOUND_OKS,),
        area_ranges={"all": AREA_RANGES["all"]},
        max_detections=rules.max_detections,
        drop_unscored=rules.drop_unscored,
    )


def keypoint_errors(
    truth: GroundTruth, detections: Detections, found: MatchTable, flip_indices: Sequence[int]
) -> KeypointErrors:
    """Classify each labelled keypoint of the matched detections.

    `found` comes from `found_persons`; `flip_indices` (K) are mirror partners, the keypoint itself
    if it has none. Among equally near places the keypoint's own comes first, then its mirror
    partner's.
    """
    person = found.person[0, 0].astype(np.int64)
    rows = np.flatnonzero((person >= 0) & ~found.ignored[0, 0])
    detection, person = found.detection[rows], person[rows]
    keypoints, flip = detections.keypoints[detection], np.asarray(flip_indices)
    here = np.arange(len(person)), person
    own = _similarity(truth, keypoints, *here, np.arange(len(flip)))
    mirrored = _similarity(truth, keypoints, *here, flip)
    others = _others(truth, keypoints, person, flip)
    highest = np.maximum(np.maximum(own, mirrored), others)
    state = np.select(
        [
            highest < NEAR_SIMILARITY,
            (own == highest) & (own > GOOD_SIMILARITY),
            own == highest,
            mirrored == highest,
        ],
        [MISS, GOOD, JITTER, INVERSION],
        SWAP,
    )
    state[truth.visibility[person] <= 0] = UNLABELLED
    return KeypointErrors(detection, person, state.astype(np.int8), highest)


def _similarity(
    truth: GroundTruth,
    keypoints: NDArray[np.float64],
    row: NDArray[np.int64],
    person: NDArray[np.int64],
    column: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return exp(-d²/(2·area·(2σ)²)) (P, K) to the keypoints `column` of persons, 0 unlabelled."""
    offsets = keypoints[row] - truth.keypoints[person][:, column]
    scale = 2 * (truth.areas[person, None] + np.spacing(1)) * (2 * truth.sigmas) ** 2
    with np.errstate(over="ignore", under="ignore"):
        near: NDArray[np.float64] = np.exp(-(offsets**2).sum(axis=2) / scale)
    return near * (truth.visibility[person][:, column] > 0)


def _others(
    truth: GroundTruth,
    keypoints: NDArray[np.float64],
    person: NDArray[np.int64],
    flip: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the best similarity (M, K) to anybody else of the image, mirrored or not."""
    bounds = np.searchsorted(truth.image, np.arange(len(truth.image_ids) + 1))
    start, count = bounds[truth.image[person]], np.diff(bounds)[truth.image[person]]
    row = np.repeat(np.arange(len(person)), count)
    other = start[row] + np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    apart = other != person[row]
    row, other = row[apart], other[apart]
    best = np.zeros(keypoints.shape[:2])
    for column in (np.arange(len(flip)), flip):
        np.maximum.at(best, row, _similarity(truth, keypoints, row, other, column))
    return best


def without_errors(
    truth: GroundTruth,
    detections: Detections,
    errors: KeypointErrors,
    states: Collection[KeypointState],
) -> Detections:
    """Return the detections with the errors of the kinds `states` corrected.

    Each keypoint moves on the line to its label: jitter to the edge of good (similarity 0.85), a
    miss to the edge of jitter (0.5), inversions and swaps to the similarity they have to the wrong
    place.
    """
    target = np.select(
        [errors.state == JITTER, errors.state == MISS],
        [GOOD_SIMILARITY + _INSIDE, NEAR_SIMILARITY + _INSIDE],
        errors.similarity,
    )
    chosen = np.isin(errors.state, [STATES.index(state) for state in states])
    spread = 2 * truth.areas[errors.person, None] * (2 * truth.sigmas) ** 2
    radius = np.sqrt(-np.log(np.where(chosen, target, 1.0)) * spread)
    rows, columns = np.nonzero(chosen)
    detection, person = errors.detection[rows], errors.person[rows]
    label = truth.keypoints[person, columns]
    offsets = detections.keypoints[detection, columns] - label
    with np.errstate(over="ignore"):  # a keypoint that far away is put on its label
        part = radius[rows, columns] / np.linalg.norm(offsets, axis=1)
    keypoints = detections.keypoints.copy()
    keypoints[detection, columns] = label + offsets * part[:, None]
    # The area stays: it says which detections a size range ignores, not how large the pose is.
    return Detections(
        detections.image_ids,
        keypoints,
        detections.keypoint_scores,
        detections.scores,
        detections.areas,
    )
