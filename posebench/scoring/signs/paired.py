"""Poses of two results files that are of one person, and how far apart they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.pairing import rows_by_image

# A pose farther away than this many sides of its person tells no more than that it is elsewhere.
_FAR = 1.0


@dataclass(frozen=True, eq=False)
class PosePairs:
    """Rows (N,) of two files whose poses are of one person, `side` (N,) its size in pixels."""

    one: NDArray[np.int64]
    other: NDArray[np.int64]
    side: NDArray[np.float64]


def nearest_pairs(one: Detections, other: Detections) -> PosePairs:
    """Pair the poses of each image that are each other's nearest, by mean keypoint distance."""
    rows: list[NDArray[np.int64]] = []
    others: list[NDArray[np.int64]] = []
    for own, theirs in _by_image(one, other):
        gaps = one.keypoints[own][:, None] - other.keypoints[theirs][None]
        with np.errstate(over="ignore"):
            distance = np.linalg.norm(gaps, axis=3).mean(axis=2)
        best, back = distance.argmin(axis=1), distance.argmin(axis=0)
        mutual = back[best] == np.arange(len(own))
        rows.append(own[mutual])
        others.append(theirs[best[mutual]])
    return _pairs(one, rows, others)


def ranked_pairs(one: Detections, other: Detections) -> PosePairs:
    """Pair poses from left to right, in the images where both files have equally many.

    This finds partners where one file is scaled, and the nearest pose is somebody else's.
    """
    rows: list[NDArray[np.int64]] = []
    others: list[NDArray[np.int64]] = []
    for own, theirs in _by_image(one, other):
        if len(own) == len(theirs):
            rows.append(own[np.argsort(one.keypoints[own, :, 0].mean(axis=1), kind="stable")])
            x = other.keypoints[theirs, :, 0].mean(axis=1)
            others.append(theirs[np.argsort(x, kind="stable")])
    return _pairs(one, rows, others)


def mean_gap(one: Detections, other: Detections, pairs: PosePairs | None = None) -> float:
    """Return the mean distance of keypoints over the person's side, at most 1.

    Poses without a partner count as 1, so that it is 0 only where every pose has its equal.
    """
    pairs = nearest_pairs(one, other) if pairs is None else pairs
    most = max(len(one), len(other))
    if most == 0:
        return 0.0
    gaps = one.keypoints[pairs.one] - other.keypoints[pairs.other]
    with np.errstate(over="ignore"):
        distance = np.linalg.norm(gaps, axis=2) / pairs.side[:, None]
    near = np.minimum(distance, _FAR).mean(axis=1).sum()
    return float((near + _FAR * (most - len(pairs.one))) / most)


def sides_of(poses: Detections) -> NDArray[np.float64]:
    """Return the size (N,) of persons in pixels, the longer side of their keypoints' extent."""
    extent: NDArray[np.float64] = np.ptp(poses.keypoints, axis=1).max(axis=1, initial=0.0)
    return np.maximum(extent, 1.0)


def _by_image(
    one: Detections, other: Detections
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return the rows of both files in every image that both have."""
    groups = [rows_by_image(each.image_ids) for each in (one, other)]
    return [(rows, groups[1][image]) for image, rows in groups[0].items() if image in groups[1]]


def _pairs(
    one: Detections, rows: list[NDArray[np.int64]], others: list[NDArray[np.int64]]
) -> PosePairs:
    nothing = [np.zeros(0, dtype=np.int64)]
    own, theirs = np.concatenate(nothing + rows), np.concatenate(nothing + others)
    return PosePairs(own, theirs, sides_of(one)[own])
