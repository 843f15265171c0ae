"""Greedy matching of detections and persons as COCO defines it, for all images at once.

Must equal `evaluateImg` of pycocotools' `cocoeval.py` (and of xtcocotools) in every match,
ties included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.choices import Kind
from posebench.errors import EvaluationError
from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.oks import Pairs, similar_pairs
from posebench.scoring.matching.truth import GroundTruth

AREA_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"all": (0.0, 1e10), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
)
OKS_THRESHOLDS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
# Evaluators never ask for more than this, so that an OKS of 1 minus a rounding error still matches.
_HIGHEST_THRESHOLD = 1 - 1e-10


@dataclass(frozen=True)
class MatchRules:
    """What may match: OKS thresholds, area ranges by name (ends included), detections per image.

    `drop_unscored` leaves out, before ranking, detections without a keypoint score above 0, as
    xtcocotools does.
    """

    thresholds: tuple[float, ...] = OKS_THRESHOLDS
    area_ranges: Mapping[str, tuple[float, float]] = field(default_factory=lambda: AREA_RANGES)
    max_detections: int = 20
    drop_unscored: bool = False


# What the official evaluator of each kind of data does.
KIND_RULES: Mapping[Kind, MatchRules] = MappingProxyType(
    {
        "coco": MatchRules(),
        "crowdpose": MatchRules(drop_unscored=True),
        "wholebody": MatchRules(drop_unscored=True),
        "distance": MatchRules(),
    }
)


@dataclass(frozen=True, eq=False)
class MatchTable:
    """Who matched whom: D detections, best score first, at T thresholds in A area ranges.

    Equal scores are ordered by image, within one image by rank. `detection` (D,) rows of the
    detections; `image` (D,) positions in `image_ids` (I,); `rank` (D,) from 0 within the image;
    `scores` (D,); `person` (T, A, D) rows of the ground truth, -1 for none; `ignored` (T, A, D)
    detections that count neither for nor against; `person_count` (A, I) persons that count.
    `crowd_index` (I,) is None if images have none.
    """

    rules: MatchRules
    image_ids: NDArray[np.int64]
    crowd_index: NDArray[np.float64] | None
    detection: NDArray[np.int64]
    image: NDArray[np.int64]
    rank: NDArray[np.int64]
    scores: NDArray[np.float64]
    person: NDArray[np.int32]
    ignored: NDArray[np.bool_]
    person_count: NDArray[np.int64]

    def area(self, name: str) -> int:
        """Return the position of an area range in the second axis."""
        return list(self.rules.area_ranges).index(name)


def match(
    truth: GroundTruth, detections: Detections, rules: MatchRules | None = None
) -> MatchTable:
    """Match every image's best detections to its persons.

    Raises `EvaluationError` if detections have images that the truth lacks, or another number of
    keypoints.
    """
    rules = rules or MatchRules()
    if len(detections) and detections.keypoints.shape[1] != len(truth.sigmas):
        raise EvaluationError(
            f"The predictions have {detections.keypoints.shape[1]} keypoints, the annotations "
            f"{len(truth.sigmas)}."
        )
    order, image, rank = _ranked(truth, detections, rules)
    limits = np.array(list(rules.area_ranges.values()), dtype=np.float64).reshape(-1, 2)
    thresholds = np.minimum(np.asarray(rules.thresholds, dtype=np.float64), _HIGHEST_THRESHOLD)
    ignored_person = truth.ignored | _outside(truth.areas, limits)
    pairs = similar_pairs(truth, image, detections.keypoints, order, thresholds.min())
    by_score = np.argsort(-detections.scores[order], kind="stable")
    place = np.empty_like(by_score)
    place[by_score] = np.arange(len(place))
    person = np.full((len(thresholds), len(limits), len(order)), -1, dtype=np.int32)
    ignored = np.empty(person.shape, dtype=bool)
    ignored[:] = _outside(detections.areas[order[by_score]], limits)
    for at, within, detection, chosen in _assign(
        pairs, image, truth.crowd, ignored_person, thresholds
    ):
        person[at, within, place[detection]] = chosen
        ignored[at, within, place[detection]] = ignored_person[within, chosen]
    counts = [
        np.bincount(truth.image[~row], minlength=len(truth.image_ids)) for row in ignored_person
    ]
    return MatchTable(
        rules=rules,
        image_ids=truth.image_ids,
        crowd_index=truth.crowd_index,
        detection=order[by_score],
        image=image[by_score],
        rank=rank[by_score],
        scores=detections.scores[order[by_score]],
        person=person,
        ignored=ignored,
        person_count=np.stack(counts),
    )


def _ranked(
    truth: GroundTruth, detections: Detections, rules: MatchRules
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return rows, images and ranks of the detections that take part, by image and rank."""
    image = truth.locate(detections.image_ids)
    order = np.lexsort((-detections.scores, image))
    if rules.drop_unscored:
        order = order[(detections.keypoint_scores[order] > 0).any(axis=1)]
    image = image[order]
    rank = np.arange(len(order)) - np.searchsorted(image, image)
    best = rank < rules.max_detections
    return order[best], image[best], rank[best]


def _outside(areas: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (A, N): whether each area lies outside each of the ranges (A, 2)."""
    outside: NDArray[np.bool_] = (areas < limits[:, :1]) | (areas > limits[:, 1:])
    return outside


def _assign(
    pairs: Pairs,
    image: NDArray[np.int64],
    crowd: NDArray[np.bool_],
    ignored: NDArray[np.bool_],
    thresholds: NDArray[np.float64],
) -> Iterator[tuple[NDArray[np.int64], ...]]:
    """Yield matches as columns: threshold, area range, detection, person.

    Rank by rank, the r-th best candidate of every image chooses at all thresholds and area ranges
    at once. Among the persons left it takes the most similar one that counts or, if none of those
    is similar enough, the most similar ignored one. The later of equals wins.
    """
    taken = np.zeros((len(thresholds), *ignored.shape), dtype=bool)
    turn = _turns(pairs.detection, image)
    order = np.lexsort((pairs.person, pairs.oks, pairs.detection, turn))
    detection, person, oks = pairs.detection[order], pairs.person[order], pairs.oks[order]
    bounds = np.searchsorted(turn[order], np.arange(turn.max(initial=-1) + 2))
    for start, stop in pairwise(bounds):
        who, size = person[start:stop], stop - start
        free = crowd[who] | ~taken[..., who]
        eligible = free & (oks[start:stop] >= thresholds[:, None])[:, None]
        preference = np.arange(1, size + 1) + size * ~ignored[:, who]
        heads = np.flatnonzero(np.diff(detection[start:stop], prepend=-1))
        best = np.maximum.reduceat(np.where(eligible, preference, 0), heads, axis=-1)
        at, within, column = np.nonzero(best)
        chosen = who[(best[at, within, column] - 1) % size]
        taken[at, within, chosen] = True
        yield at, within, detection[start:stop][heads][column], chosen


def _turns(detection: NDArray[np.int64], image: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each pair how many candidates of its image choose before its detection."""
    candidates, where = np.unique(detection, return_inverse=True)
    owners = image[candidates]
    turns: NDArray[np.int64] = (np.arange(len(candidates)) - np.searchsorted(owners, owners))[where]
    return turns
