"""Two arms of trained networks that never were: their errors on people, as tables of matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.keypoints import COCO
from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.matching import match
from posebench.scoring.matching.truth import GroundTruth
from posebench.scoring.statistics.image_table import ImageTable

SIDE = 100.0
# Standard deviations of the logarithm of a person's error: what all share, what the seeds of an arm
# share, and what a seed has to itself.
BY_IMAGE, BY_ARM_AND_IMAGE, BY_SEED_AND_IMAGE = 0.5, 0.4, 0.25


@dataclass(frozen=True)
class Arm:
    """Errors of keypoints in units of a person's size, and how far a seed moves their logarithm."""

    error: float
    by_seed: float


def people(images: int) -> GroundTruth:
    """Return one person in each image, all keypoints at 0."""
    count, keypoints = images, len(COCO.keypoints)
    return GroundTruth(
        image_ids=np.arange(count),
        crowd_index=None,
        sigmas=np.array(COCO.sigmas),
        ids=np.arange(1, count + 1),
        image=np.arange(count),
        keypoints=np.zeros((count, keypoints, 2)),
        visibility=np.full((count, keypoints), 2.0),
        bbox_xywh=np.tile([0.0, 0.0, SIDE, SIDE], (count, 1)),
        areas=np.full(count, SIDE**2),
        crowd=np.zeros(count, dtype=bool),
        ignored=np.zeros(count, dtype=bool),
    )


def tables_of_arms(
    arms: Sequence[Arm], seeds: int, images: int, rng: np.random.Generator
) -> list[list[ImageTable]]:
    """Return a table for each arm and seed, all of the same images."""
    truth, shared = people(images), BY_IMAGE * rng.standard_normal(images)
    difficulties = [shared + BY_ARM_AND_IMAGE * rng.standard_normal(images) for _ in arms]
    return [
        [
            _table(truth, _detections(arm.error, hard + arm.by_seed * rng.standard_normal(), rng))
            for _ in range(seeds)
        ]
        for arm, hard in zip(arms, difficulties, strict=True)
    ]


def _table(truth: GroundTruth, detections: Detections) -> ImageTable:
    return ImageTable(match(truth, detections))


def _detections(
    error: float, logarithm: NDArray[np.float64], rng: np.random.Generator
) -> Detections:
    count, keypoints = len(logarithm), len(COCO.keypoints)
    own = BY_SEED_AND_IMAGE * rng.standard_normal(count)
    size = error * SIDE * np.exp(logarithm + own)
    return Detections(
        image_ids=np.arange(count),
        keypoints=size[:, None, None] * rng.standard_normal((count, keypoints, 2)),
        keypoint_scores=np.ones((count, keypoints)),
        scores=np.exp(-size / SIDE) + 0.01 * rng.standard_normal(count),
        areas=np.full(count, SIDE**2),
    )
