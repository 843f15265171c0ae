"""How far predictions of one engine or precision lie from those of another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posebench.errors import EvaluationError
from posebench.evaluation.predictions import Predictions

# A keypoint that moves further than this, in image pixels, counts as moved.
MOVED_PIXELS = 1.0


@dataclass(frozen=True)
class PredictionDifference:
    """What separates two predictions of the same instances.

    `keypoint_pixels` is the largest distance between a keypoint's two places in image pixels,
    `moved_share` the share of keypoints that lie further than `MOVED_PIXELS` apart, `score` the
    largest difference of a keypoint's score. All are 0 where there are no instances.
    """

    keypoint_pixels: float
    moved_share: float
    score: float


def compare_predictions(reference: Predictions, other: Predictions) -> PredictionDifference:
    """Compare predictions of the same N instances; raise `EvaluationError` if they are not."""
    same = np.array_equal(reference.ids, other.ids)
    if not same or reference.keypoints.shape != other.keypoints.shape:
        raise EvaluationError(
            f"Predictions of different instances or keypoints cannot be compared: "
            f"{reference.keypoints.shape} and {other.keypoints.shape}."
        )
    if not reference.keypoints.size:
        return PredictionDifference(0.0, 0.0, 0.0)
    moved = np.linalg.norm(other.keypoints.astype(np.float64) - reference.keypoints, axis=-1)
    scores = np.abs(other.keypoint_scores.astype(np.float64) - reference.keypoint_scores)
    return PredictionDifference(
        float(moved.max()), float((moved > MOVED_PIXELS).mean()), float(scores.max())
    )
