"""AP, AR, OKS and PCK of parts of the persons: by size, visibility, labels and crowding.

The groups by labelled keypoints and by overlap are those of Ronchi & Perona 2017.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from posebench.scoring.keypoint_metrics import KeypointDistances, keypoint_distances, pck
from posebench.scoring.matching.accumulate import ABSENT, accumulate
from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.matching import AREA_RANGES, MatchRules, match
from posebench.scoring.matching.truth import GroundTruth

# Boxes that share this much of their union overlap (Ronchi & Perona 2017).
OVERLAP_IOU = 0.1
# COCO's ranges in square pixels, both ends included.
SIZES: Mapping[str, tuple[float, float]] = {
    "small": (0.0, 32.0**2),
    "medium": AREA_RANGES["medium"],
    "large": AREA_RANGES["large"],
}


@dataclass(frozen=True, eq=False)
class Stratum:
    """Some of the persons (G,): a group `name` of a `family`; groups by size have an area range.

    Detections without a person count against a stratum unless their own area is out of range.
    """

    family: str
    name: str
    persons: NDArray[np.bool_]
    area_range: tuple[float, float] = AREA_RANGES["all"]


@dataclass(frozen=True)
class StratumMetrics:
    """The numbers of one stratum, fractions 0-1; None if it has nobody.

    `mean_oks` is over its persons, each with the best detection of its image (0 without one).
    Every detection without a person counts against each stratum, so that AP compares models in
    one stratum but not strata of different sizes; AR, OKS and PCK compare both.
    """

    family: str
    name: str
    persons: int
    ap: float | None
    ar: float | None
    mean_oks: float | None
    pck: Mapping[float, float | None]


def standard_strata(truth: GroundTruth) -> tuple[Stratum, ...]:
    """Return the strata by size, visibility, number of labelled keypoints and crowding.

    Persons without labels are in no stratum by visibility or number.
    """
    labelled = np.count_nonzero(truth.visibility > 0, axis=1)
    occluded = (truth.visibility == 1).any(axis=1)
    overlaps = overlapping_boxes(truth)
    size = [
        Stratum("size", name, (truth.areas >= low) & (truth.areas <= high), (low, high))
        for name, (low, high) in SIZES.items()
    ]
    return (
        *size,
        Stratum("visibility", "all visible", (labelled > 0) & ~occluded),
        Stratum("visibility", "some occluded", occluded),
        *_label_strata(labelled, truth.visibility.shape[1]),
        Stratum("overlapping people", "0", overlaps == 0),
        Stratum("overlapping people", "1-2", (overlaps >= 1) & (overlaps <= 2)),
        Stratum("overlapping people", "3 or more", overlaps >= 3),
    )


def _label_strata(labelled: NDArray[np.intp], joints: int) -> list[Stratum]:
    """Split by shares that make 1-5, 6-10, 11-15 and 16-17 of COCO's 17 keypoints."""
    ends = sorted({int(joints * share) for share in (0.3, 0.6, 0.9, 1)} - {0})
    starts = [1, *(end + 1 for end in ends[:-1])]
    return [
        Stratum(
            "labelled keypoints",
            f"{start}-{end}" if start < end else str(end),
            (labelled >= start) & (labelled <= end),
        )
        for start, end in zip(starts, ends, strict=True)
    ]


def overlapping_boxes(truth: GroundTruth) -> NDArray[np.int64]:
    """Count the others (no crowds) in each person's (G,) image whose boxes overlap its own."""
    low, high = truth.bbox_xywh[:, :2], truth.bbox_xywh[:, :2] + truth.bbox_xywh[:, 2:]
    box_area = truth.bbox_xywh[:, 2:].prod(axis=1)
    counts = np.zeros(len(truth), dtype=np.int64)
    bounds = np.searchsorted(truth.image, np.arange(len(truth.image_ids) + 1))
    for start, stop in pairwise(bounds):
        if stop - start < 2:
            continue
        own = slice(start, stop)
        edge = np.minimum(high[own, None], high[None, own]) - np.maximum(
            low[own, None], low[None, own]
        )
        shared = np.maximum(edge, 0).prod(axis=2)
        union = box_area[own, None] + box_area[None, own] - shared
        overlap = (shared >= OVERLAP_IOU * union) & (shared > 0) & ~truth.crowd[None, own]
        np.fill_diagonal(overlap, False)
        counts[own] = overlap.sum(axis=1)
    return counts


def stratum_metrics(
    truth: GroundTruth,
    detections: Detections,
    strata: tuple[Stratum, ...],
    rules: MatchRules | None = None,
) -> tuple[StratumMetrics, ...]:
    """Score each stratum with all other persons ignored, as COCO does for area ranges."""
    distances = keypoint_distances(truth, detections)
    return tuple(
        _score(truth, detections, stratum, rules or MatchRules(), distances) for stratum in strata
    )


def _score(
    truth: GroundTruth,
    detections: Detections,
    stratum: Stratum,
    rules: MatchRules,
    distances: KeypointDistances,
) -> StratumMetrics:
    others = dataclasses.replace(truth, ignored=truth.ignored | ~stratum.persons)
    table = match(
        others,
        detections,
        dataclasses.replace(rules, area_ranges={stratum.name: stratum.area_range}),
    )
    curves = accumulate(table)
    chosen = stratum.persons[distances.person]
    relative = distances.relative[chosen]
    return StratumMetrics(
        family=stratum.family,
        name=stratum.name,
        persons=int(table.person_count.sum()),
        ap=_mean(curves.precision),
        ar=_mean(curves.recall),
        mean_oks=float(distances.oks[chosen].mean()) if chosen.any() else None,
        pck=pck(relative[~np.isnan(relative)]),
    )


def _mean(values: NDArray[np.float64]) -> float | None:
    return None if values.flat[0] == ABSENT else float(values.mean())
