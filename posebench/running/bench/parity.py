"""How far two ways of running one network differ on the same instances. No torch."""

from __future__ import annotations

import numpy as np

from posebench.errors import EvaluationError
from posebench.prediction.predictions import Predictions
from posebench.results.speed import Parity

# Pixels of the image; less moves no AP.
_MOVED = 0.1


def parity_of(predictions: Predictions, reference: Predictions, ap: float | None) -> Parity:
    """Return the largest differences; `ap` is that of AP, a fraction.

    Raises `EvaluationError` if the predictions are of different instances or keypoints.
    """
    same = np.array_equal(reference.ids, predictions.ids)
    if not same or reference.keypoints.shape != predictions.keypoints.shape:
        raise EvaluationError(
            f"Predictions of different instances or keypoints cannot be compared: "
            f"{reference.keypoints.shape} and {predictions.keypoints.shape}."
        )
    steps = predictions.keypoints.astype(np.float64) - reference.keypoints
    distances = np.linalg.norm(steps, axis=-1)
    scores = predictions.keypoint_scores.astype(np.float64) - reference.keypoint_scores
    return Parity(
        keypoints=float(distances.max()),
        keypoint_scores=float(np.abs(scores).max()),
        moved_share=float((distances > _MOVED).mean()),
        ap=ap,
    )
