"""Instance scores from box and keypoint scores: MMPose 1.3.2's `CocoMetric.score_mode`."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Rescoring = Literal["bbox_keypoint", "bbox_rle", "bbox", "keypoint"]
RESCORING_RULES: tuple[Rescoring, ...] = ("bbox_keypoint", "bbox_rle", "bbox", "keypoint")


def rescore(
    rule: Rescoring,
    bbox_scores: NDArray[Any],
    keypoint_scores: NDArray[Any],
    threshold: float = 0.2,
) -> NDArray[np.float64]:
    """Return the instance scores (N,) of boxes (N,) and keypoints (N, K).

    `bbox_keypoint`: box score times the mean of the keypoint scores above `threshold`, 0 if none
    is; `bbox_rle`: box score plus mean plus maximum of the keypoint scores; `bbox` and `keypoint`:
    the box score, the mean keypoint score.
    """
    boxes: NDArray[np.float64] = np.asarray(bbox_scores, dtype=np.float64)
    keypoints: NDArray[np.float64] = np.asarray(keypoint_scores, dtype=np.float64)
    if rule == "bbox":
        return boxes
    if rule == "keypoint":
        return np.asarray(keypoints.mean(axis=1))
    if rule == "bbox_rle":
        return np.asarray(boxes + keypoints.mean(axis=1) + keypoints.max(axis=1))
    # The threshold is compared in the scores' own precision, as the reference does.
    sure = np.asarray(keypoint_scores) > threshold
    total = np.where(sure, keypoints, 0.0).sum(axis=1)
    return np.asarray(boxes * total / np.maximum(sure.sum(axis=1), 1))
