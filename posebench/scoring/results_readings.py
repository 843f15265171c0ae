"""Whether the keypoints of a results file look as if they were written in another way."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.checks.findings import Finding
from posebench.datasets.checks.readings import POSE_READINGS, sample
from posebench.datasets.coco import PoseDataset
from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.pairing import best_detections
from posebench.scoring.matching.truth import GroundTruth

# How many images are looked at.
_MOST_IMAGES = 100
# Another reading is reported if it raises persons' mean best OKS from below the first to the
# second.
_BAD, _GOOD = 0.1, 0.3
_FRACTION = 1.0


def reading_findings(
    dataset: PoseDataset, truth: GroundTruth, detections: Detections
) -> list[Finding]:
    """Say which other reading of N results resembles the persons if they do not as written.

    Keypoints that all lie within 0-1 are always reported.
    """
    if not len(detections):
        return []
    lowest, highest = detections.keypoints.min(), detections.keypoints.max()
    if len(detections) > 1 and 0 <= lowest <= highest <= _FRACTION:
        what = (
            f"All keypoints of {len(detections)} results lie within 0-1: they look like fractions "
            "of the image, and pixels are wanted"
        )
        return [Finding("results-reading", what, len(detections))]
    some, few = _sampled(truth, detections)
    if not len(few) or (usual := _resemblance(some, few)) >= _BAD:
        return []
    sizes = {image.id: (image.width, image.height) for image in dataset.images}
    their_sizes = np.array([sizes[key] for key in few.image_ids.tolist()], dtype=np.float64)
    poses = np.concatenate([few.keypoints, few.keypoint_scores[..., None]], axis=2)
    found = {
        name: _resemblance(some, _with(few, read(poses, their_sizes)))
        for name, read in POSE_READINGS.items()
    }
    name = max(found, key=lambda reading: found[reading])
    if found[name] < _GOOD:
        return []
    what = (
        f"The results resemble the annotated persons by an OKS of {usual:.2f} in the mean; with "
        f"keypoints read as {name}, by {found[name]:.2f}"
    )
    return [Finding("results-reading", what, len(detections))]


def _sampled(truth: GroundTruth, detections: Detections) -> tuple[GroundTruth, Detections]:
    """Return the persons of a few images with labelled ones, and the results there."""
    counted = ~truth.ignored & (truth.visibility > 0).any(axis=1)
    images = np.unique(truth.image[counted])
    images = images[sample(len(images), _MOST_IMAGES)]
    rows = np.flatnonzero(counted & np.isin(truth.image, images))
    people = dataclasses.replace(
        truth,
        **{
            name: getattr(truth, name)[rows]
            for name in ("ids", "image", "keypoints", "visibility", "bbox_xywh", "areas")
        },
        crowd=truth.crowd[rows],
        ignored=truth.ignored[rows],
    )
    return people, detections.subset(np.isin(detections.image_ids, truth.image_ids[images]))


def _resemblance(truth: GroundTruth, detections: Detections) -> float:
    """Return the mean over persons of the best OKS with any result of their image."""
    return float(best_detections(truth, detections).oks.mean()) if len(truth) else 0.0


def _with(detections: Detections, poses: NDArray[np.float64]) -> Detections:
    return dataclasses.replace(detections, keypoints=np.ascontiguousarray(poses[..., :2]))
