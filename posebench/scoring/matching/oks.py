"""Object keypoint similarity of detections and persons, all images at once.

Every value equals that of pycocotools' `computeOks` bit for bit, so that ties are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebench.scoring.matching.truth import GroundTruth

# Pairs of a block: this bounds memory and keeps the block's coordinates in the processor's cache.
_PAIRS_AT_ONCE = 1 << 12


@dataclass(frozen=True, eq=False)
class Pairs:
    """P detection-person pairs of one image each: `detection` (P,), `person` (P,), `oks` (P,)."""

    detection: NDArray[np.int64]
    person: NDArray[np.int64]
    oks: NDArray[np.float64]


def similar_pairs(
    truth: GroundTruth,
    image: NDArray[np.int64],
    keypoints: NDArray[np.float64],
    rows: NDArray[np.int64],
    least: float,
) -> Pairs:
    """Return all pairs of a detection and a person in its image with an OKS of `least` or more.

    `image` (D,) holds ascending positions in the truth's images; the keypoints in pixels of
    detection d are row `rows[d]` of `keypoints` (N, K, 2).
    Persons without a visible keypoint are compared by distance to their doubled box.
    """
    starts = np.searchsorted(image, np.arange(len(truth.image_ids) + 1))
    first, count = starts[truth.image], np.diff(starts)[truth.image]
    visible = truth.visibility > 0
    shown = np.count_nonzero(visible, axis=1)
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    # A sum's last bit depends on how many terms it has, so persons are grouped by their number of
    # labels.
    for number in np.unique(shown[count > 0]):
        group = np.flatnonzero((shown == number) & (count > 0))
        for persons in _blocks(group, count):
            owner = np.repeat(np.arange(len(persons)), count[persons])
            offset = np.arange(len(owner)) - np.repeat(
                np.cumsum(count[persons]) - count[persons], count[persons]
            )
            detection = first[persons][owner] + offset
            if number:
                columns = np.nonzero(visible[persons])[1].reshape(len(persons), number)
                oks = _labelled_oks(truth, persons, owner, columns, keypoints, rows[detection])
            else:
                oks = _box_oks(truth, persons[owner], keypoints[rows[detection]])
            near = np.flatnonzero(oks >= least)
            found.append((detection[near], persons[owner[near]], oks[near]))
    return Pairs(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _blocks(group: NDArray[np.int64], count: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Split persons so that a block has a bounded number of pairs."""
    ends = np.cumsum(count[group]) // _PAIRS_AT_ONCE
    yield from np.split(group, np.flatnonzero(np.diff(ends)) + 1)


def _labelled_oks(
    truth: GroundTruth,
    persons: NDArray[np.int64],
    owner: NDArray[np.int64],
    columns: NDArray[np.int64],
    keypoints: NDArray[np.float64],
    rows: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return OKS (P,) over each person's n visible keypoints, `columns` (persons, n)."""
    own = np.take_along_axis(truth.keypoints[persons], columns[..., None], axis=1)
    joints = keypoints.shape[1]
    detected = keypoints.reshape(-1, 2)[rows[:, None] * joints + columns[owner]]
    offsets = detected - own[owner]
    variances = ((truth.sigmas * 2) ** 2)[columns]
    return _similarity(
        offsets[..., 0], offsets[..., 1], variances[owner], truth.areas[persons][owner]
    )


def _box_oks(
    truth: GroundTruth, persons: NDArray[np.int64], keypoints: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return OKS (P,) by distance to the region of three widths and heights around a box."""
    corner, size = truth.bbox_xywh[persons, None, :2], truth.bbox_xywh[persons, None, 2:]
    low, high = corner - size, corner + size * 2
    offsets = np.maximum(0, low - keypoints) + np.maximum(0, keypoints - high)
    variances = (truth.sigmas * 2) ** 2
    return _similarity(offsets[..., 0], offsets[..., 1], variances, truth.areas[persons])


def _similarity(
    dx: NDArray[np.float64],
    dy: NDArray[np.float64],
    variances: NDArray[np.float64],
    areas: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return mean exp(-d²/(2·area·variance)) over the last axis, in pycocotools' order."""
    with np.errstate(over="ignore", under="ignore"):
        e = (dx**2 + dy**2) / variances / (areas[:, None] + np.spacing(1)) / 2
        similarity: NDArray[np.float64] = np.sum(np.exp(-e), axis=1) / e.shape[1]
    return similarity
