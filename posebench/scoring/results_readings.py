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
# Another reading is reported if persons' mean best OKS is below the first as written, and with it
# at least the second, higher by the third.
_BAD, _GOOD, _GAIN = 0.3, 0.3, 0.25
# Below this, results resemble nobody.
_NOBODY = 0.1
_FRACTION = 1.0


@np.errstate(over="ignore", invalid="ignore")
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
    corners = some.bbox_xywh[:, None, :2]
    moved = dataclasses.replace(some, keypoints=some.keypoints - corners)
    found["offsets from the corner of their person's box"] = _resemblance(moved, few)
    scale = _scale(some, few)
    found[f"{scale:.3g} times as large"] = _resemblance(some, _with(few, poses * scale))
    order = _order(some, few)
    if order is not None:
        told = _told_order(order, dataset)
        found[told] = _resemblance(some, _with(few, poses[:, order]))
    name = max(found, key=lambda reading: found[reading])
    if found[name] < max(_GOOD, usual + _GAIN):
        return _unlike(usual, len(detections))
    what = (
        f"The results resemble the annotated persons by an OKS of {usual:.2f} in the mean; with "
        f"keypoints read as {name}, by {found[name]:.2f}"
    )
    return [Finding("results-reading", what, len(detections))]


def _unlike(usual: float, count: int) -> list[Finding]:
    """Return the finding that results resemble nobody, if their mean OKS is that low."""
    if usual >= _NOBODY:
        return []
    what = (
        f"The results resemble the annotated persons by an OKS of {usual:.2f} in the mean, in "
        "images that have both. They may carry other images' `image_id`, or lie in pixels of a "
        "crop or of a resized or padded image"
    )
    return [Finding("results-unlike", what, count)]


def _scale(truth: GroundTruth, detections: Detections) -> float:
    """Return by what results are to be multiplied to reach as far as the labelled keypoints."""
    wanted = np.median(truth.keypoints[truth.visibility > 0])
    return float(wanted / max(float(np.median(detections.keypoints)), 1e-9))


def _order(truth: GroundTruth, detections: Detections) -> NDArray[np.intp] | None:
    """Return which of a result's keypoints lies nearest to each of a person's, if all differ.

    Persons are compared with the result of their image whose centre is nearest.
    """
    image, labelled = truth.locate(detections.image_ids), truth.visibility > 0
    centres = detections.keypoints.mean(axis=1)
    gaps = np.zeros((truth.keypoints.shape[1],) * 2)
    for person, points in enumerate(truth.keypoints):
        there = np.flatnonzero(image == truth.image[person])
        if not len(there):
            continue
        own = points[labelled[person]]
        away = np.linalg.norm(centres[there] - own.mean(axis=0), axis=1)
        pose = detections.keypoints[there[np.argmin(away)]]
        distance = np.linalg.norm(own[:, None] - pose, axis=2)
        gaps[labelled[person]] += distance / max(float(np.sqrt(truth.areas[person])), 1.0)
    order: NDArray[np.intp] = gaps.argmin(axis=1)
    usual = np.arange(len(order))
    return order if len(set(order.tolist())) == len(order) and (order != usual).any() else None


def _told_order(order: NDArray[np.intp], dataset: PoseDataset) -> str:
    """Return an order of keypoints in words."""
    if order.tolist() == list(dataset.keypoints.flip_indices):
        return "left and right exchanged"
    names = dataset.keypoints.keypoints
    written = [names[place] for place in np.argsort(order).tolist()]
    return f"{', '.join(written[:4])} and so on"


def _sampled(truth: GroundTruth, detections: Detections) -> tuple[GroundTruth, Detections]:
    """Return the persons of a few images with labelled ones, and the results there."""
    counted = ~truth.ignored & (truth.visibility > 0).any(axis=1)
    found = np.unique(truth.locate(detections.image_ids))
    images = np.intersect1d(truth.image[counted], found)
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
