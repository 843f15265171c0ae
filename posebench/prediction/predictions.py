"""Predicted keypoints of N instances, as scoring takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.coco import Instances, PoseDataset
from posebench.errors import EvaluationError


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model said on N instances, in the order of the instance list.

    `image_ids` (N,) are the annotation file's image ids, `ids` (N,) the instances' ids;
    `keypoints` (N, K, 2) x, y in image pixels; `keypoint_scores` (N, K); `bbox_xyxy` (N, 4)
    the unpadded boxes in pixels; `bbox_scores` (N,); `areas` (N,) the padded, aspect-fixed
    width times height in square pixels, which OKS-NMS uses.
    """

    image_ids: NDArray[np.int64]
    ids: NDArray[np.int64]
    keypoints: NDArray[Any]
    keypoint_scores: NDArray[Any]
    bbox_xyxy: NDArray[np.float32]
    bbox_scores: NDArray[np.float32]
    areas: NDArray[np.float32]

    def __post_init__(self) -> None:
        count = len(self.ids)
        joints = self.keypoints.shape[1] if self.keypoints.ndim == 3 else 0
        wanted = {
            "image_ids": (count,),
            "keypoints": (count, joints, 2),
            "keypoint_scores": (count, joints),
            "bbox_xyxy": (count, 4),
            "bbox_scores": (count,),
            "areas": (count,),
        }
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise EvaluationError(
                    f"Predictions of {count} instances: `{name}` has shape "
                    f"{getattr(self, name).shape}, wanted {shape}."
                )

    def __len__(self) -> int:
        return len(self.ids)


def instance_predictions(
    dataset: PoseDataset,
    instances: Instances,
    keypoints: NDArray[Any],
    keypoint_scores: NDArray[Any],
    areas: NDArray[np.float32],
) -> Predictions:
    """Return what a model said of N instances: keypoints (N, K, 2), scores (N, K), areas (N,)."""
    image_ids = np.array([image.id for image in dataset.images], dtype=np.int64)
    return Predictions(
        image_ids=image_ids[instances.image_index],
        ids=instances.ids,
        keypoints=keypoints,
        keypoint_scores=keypoint_scores,
        bbox_xyxy=instances.bbox_xyxy,
        bbox_scores=instances.bbox_scores,
        areas=areas,
    )


def check_finite(predictions: Predictions) -> None:
    """Check that every number is finite.

    Raises `EvaluationError` if one is NaN or infinite, and names the first such instance.
    """
    for name in ("keypoints", "keypoint_scores", "bbox_xyxy", "bbox_scores", "areas"):
        values = getattr(predictions, name)
        bad = ~np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            raise EvaluationError(
                f"{int(bad.sum())} of {len(predictions)} predictions have `{name}` that are NaN "
                f"or infinite, first instance {predictions.ids[first]} in image "
                f"{predictions.image_ids[first]}.",
                hint="Are there NaNs in the checkpoint, or does its precision overflow?",
            )


def group_by_image(image_ids: NDArray[np.int64], ids: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the positions of each image's instances, images in order of first appearance.

    Within an image they are sorted by id, and only the first of equal ids counts, as in MMPose's
    `CocoMetric._sort_and_unique_bboxes`.
    """
    if not len(image_ids):
        return []
    _, first, inverse = np.unique(image_ids, return_index=True, return_inverse=True)
    places = np.empty(len(first), dtype=np.int64)
    places[np.argsort(first, kind="stable")] = np.arange(len(first))
    image = places[inverse]
    rows = np.lexsort((ids, image))  # stable: of equal ids the first comes first
    again = (np.diff(image[rows]) == 0) & (np.diff(ids[rows]) == 0)
    rows = rows[np.r_[True, ~again]]
    return np.split(rows, np.flatnonzero(np.diff(image[rows])) + 1)
