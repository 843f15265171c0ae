"""How far predicted keypoints lie from the labelled ones, matched persons or not.

AP is 0 for a model that is wrong everywhere by a little and for one that is lost; PCK and the
median error tell them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from posebench.datasets.coco import PoseDataset
from posebench.prediction.predictions import Predictions, check_finite
from posebench.scoring.keypoint_metrics import PCK_THRESHOLDS, keypoint_distances, pck
from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.truth import ground_truth

__all__ = ["PCK_THRESHOLDS", "LocalisationError", "localisation_error"]

_KEYPOINT_THRESHOLD = 0.1


@dataclass(frozen=True)
class LocalisationError:
    """Distances of labelled keypoints to the best prediction, over the longer box side.

    `pck` maps a threshold to the fraction of labelled keypoints at most that far away;
    `median_error` is over the same keypoints, None where at least half of them are misses.
    `persons` of the ground truth have `keypoints` labelled keypoints; `missed_persons` of them
    are in images without any prediction, and all their keypoints are misses. `by_keypoint` maps
    a keypoint's name to its PCK at 0.1, None where nobody has it labelled.
    """

    pck: Mapping[float, float]
    median_error: float | None
    persons: int
    missed_persons: int
    keypoints: int
    by_keypoint: Mapping[str, float | None]


def localisation_error(dataset: PoseDataset, predictions: Predictions) -> LocalisationError:
    """Measure each labelled person against the prediction of best OKS in its image.

    Crowds, persons without labelled keypoints and those with an empty box do not count. One
    prediction may serve several persons. With nobody labelled, every PCK is 0. Raises
    `EvaluationError` for predictions that are not finite or of images the data set lacks.
    """
    check_finite(predictions)
    distances = keypoint_distances(
        ground_truth(dataset),
        Detections(
            image_ids=predictions.image_ids.astype(np.int64),
            keypoints=predictions.keypoints.astype(np.float64),
            keypoint_scores=predictions.keypoint_scores.astype(np.float64),
            scores=predictions.bbox_scores.astype(np.float64),
            areas=predictions.areas.astype(np.float64),
        ),
    )
    errors = distances.relative[~np.isnan(distances.pixels)]
    middle = float(np.median(errors)) if errors.size else np.inf
    return LocalisationError(
        pck={threshold: share or 0.0 for threshold, share in pck(errors).items()},
        median_error=middle if np.isfinite(middle) else None,
        persons=len(distances.person),
        missed_persons=int(np.isinf(distances.pixels).any(axis=1).sum()),
        keypoints=int(errors.size),
        by_keypoint={
            name: pck(column[~np.isnan(column)])[_KEYPOINT_THRESHOLD]
            for name, column in zip(dataset.keypoints.keypoints, distances.relative.T, strict=True)
        },
    )
