"""Who resembles whom most, one to one or not; scores have no say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.oks import Pairs, similar_pairs
from posebench.scoring.matching.truth import GroundTruth


@dataclass(frozen=True, eq=False)
class Best:
    """The best partner of each of N: `row` (N,), -1 for none, and their OKS (N,), 0 for none."""

    row: NDArray[np.int64]
    oks: NDArray[np.float64]


def all_pairs(truth: GroundTruth, detections: Detections) -> Pairs:
    """Return every detection and person of one image, as rows of the two arguments."""
    image = truth.locate(detections.image_ids)
    order = np.argsort(image, kind="stable")
    pairs = similar_pairs(truth, image[order], detections.keypoints, order, 0.0)
    return Pairs(order[pairs.detection], pairs.person, pairs.oks)


def rows_by_image(image_ids: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """Return the rows of each image, in their order."""
    order = np.argsort(image_ids, kind="stable")
    images, starts = np.unique(image_ids[order], return_index=True)
    if not len(images):
        return {}
    return dict(zip(images.tolist(), np.split(order, starts[1:]), strict=True))


def best_persons(truth: GroundTruth, detections: Detections, among: NDArray[np.bool_]) -> Best:
    """Return for each detection the most similar person of its image; `among` (G,) says of whom."""
    pairs = all_pairs(truth, detections)
    kept = among[pairs.person]
    detection, person, oks = pairs.detection[kept], pairs.person[kept], pairs.oks[kept]
    return _first(len(detections), detection, person, oks, np.lexsort((person, -oks, detection)))


def best_detections(truth: GroundTruth, detections: Detections) -> Best:
    """Return for each person the detection of best OKS in its image; of equals, the nearest.

    The nearest has the smallest mean distance over labelled keypoints, which decides if every OKS
    is 0.
    """
    pairs = all_pairs(truth, detections)
    highest = np.full(len(truth), -1.0)
    np.maximum.at(highest, pairs.person, pairs.oks)
    tied = np.flatnonzero(pairs.oks == highest[pairs.person])
    detection, person, oks = pairs.detection[tied], pairs.person[tied], pairs.oks[tied]
    distance = _distances(truth, detections, person, detection)
    return _first(len(truth), person, detection, oks, np.lexsort((detection, distance, person)))


def one_to_one(
    truth: GroundTruth,
    detections: Detections,
    among: NDArray[np.bool_],
    *,
    nearest_first: bool = False,
) -> Best:
    """Return the person of each detection, pairing the most similar first.

    Only persons in the mask `among` (G,) are paired, and nobody has two partners. Of equal pairs
    the nearest goes first if `nearest_first`, then the one with the earlier person, then the one
    with the earlier detection.
    """
    pairs = all_pairs(truth, detections)
    kept = np.flatnonzero(among[pairs.person])
    detection, person, oks = pairs.detection[kept], pairs.person[kept], pairs.oks[kept]
    gaps = np.zeros(len(kept))
    if nearest_first:
        gaps = _distances(truth, detections, person, detection)
    order = np.lexsort((detection, person, gaps, -oks, truth.image[person]))
    best = Best(np.full(len(detections), -1, dtype=np.int64), np.zeros(len(detections)))
    taken = np.zeros(len(truth), dtype=bool)
    # The best pair left of every image at once, until none is left.
    while len(order):
        heads = order[np.diff(truth.image[person[order]], prepend=-1) > 0]
        best.row[detection[heads]], best.oks[detection[heads]] = person[heads], oks[heads]
        taken[person[heads]] = True
        order = order[~taken[person[order]] & (best.row[detection[order]] < 0)]
    return best


def _distances(
    truth: GroundTruth,
    detections: Detections,
    person: NDArray[np.int64],
    detection: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the distance (P,) of each pair, summed over labelled keypoints."""
    offsets = detections.keypoints[detection] - truth.keypoints[person]
    labelled = truth.visibility[person] > 0
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(offsets, axis=2)
    return np.asarray(np.where(labelled, lengths, 0.0).sum(axis=1), dtype=np.float64)


def _first(
    count: int,
    owner: NDArray[np.int64],
    partner: NDArray[np.int64],
    oks: NDArray[np.float64],
    order: NDArray[Any],
) -> Best:
    """Return the first partner of each owner in `order`, which goes by owner."""
    heads = order[np.diff(owner[order], prepend=-1) > 0]
    best = Best(np.full(count, -1, dtype=np.int64), np.zeros(count))
    best.row[owner[heads]] = partner[heads]
    best.oks[owner[heads]] = oks[heads]
    return best
