"""COCO persons far apart in one image or more, and detections made from them, as columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.keypoints import COCO
from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.truth import GroundTruth

AREA = 10_000.0
SIGMAS = np.array(COCO.sigmas)
# A person's keypoints: no two are near each other at this area.
POSE = np.array([[(index % 5) * 200.0, (index // 5) * 200.0] for index in range(17)])
APART = 5000.0


def persons(*images: int, visibility: float = 2.0) -> GroundTruth:
    """Return a person for each image position given, each at another place."""
    count = len(images)
    points = np.stack([POSE + np.array([APART * index, 0]) for index in range(count)])
    boxes = [[APART * index, 0.0, 800.0, 600.0] for index in range(count)]
    return GroundTruth(
        image_ids=np.arange(max(images) + 1) + 10,
        crowd_index=None,
        sigmas=SIGMAS,
        ids=np.arange(count) + 1,
        image=np.array(images),
        keypoints=points,
        visibility=np.full((count, 17), visibility),
        bbox_xywh=np.array(boxes),
        areas=np.full(count, AREA),
        crowd=np.zeros(count, dtype=bool),
        ignored=np.zeros(count, dtype=bool),
    )


def detected(
    truth: GroundTruth,
    keypoints: NDArray[np.float64],
    scores: list[float],
    image: list[int] | None = None,
) -> Detections:
    """Return detections (N, 17, 2), in the images of the persons unless `image` says where."""
    where = truth.image if image is None else np.array(image, dtype=np.int64)
    return Detections(
        image_ids=truth.image_ids[where],
        keypoints=np.array(keypoints, dtype=np.float64),
        keypoint_scores=np.ones((len(scores), 17)),
        scores=np.array(scores, dtype=np.float64),
        areas=np.full(len(scores), AREA),
    )


def shift(keypoint: int, similarity: float) -> NDArray[np.float64]:
    """Return the offset (2,) that leaves a keypoint this similar to its label."""
    distance = np.sqrt(-np.log(similarity) * 2 * AREA) * 2 * SIGMAS[keypoint]
    angle = 0.7 * keypoint
    offset: NDArray[np.float64] = distance * np.array([np.cos(angle), np.sin(angle)])
    return offset


def shifts(similarity: float) -> NDArray[np.float64]:
    """Return offsets (17, 2) that leave every keypoint this similar."""
    return np.stack([shift(index, similarity) for index in range(17)])


def similarity_to(
    truth: GroundTruth, person: int, keypoints: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the similarity (17,) of keypoints to a person's labels, by the definition."""
    squared = ((keypoints - truth.keypoints[person]) ** 2).sum(axis=-1)
    spread = 2 * truth.areas[person] * (2 * truth.sigmas) ** 2
    similarity: NDArray[np.float64] = np.exp(-squared / spread)
    return similarity
