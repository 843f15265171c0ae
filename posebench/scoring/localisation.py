"""How far predicted keypoints lie from the labelled ones, matched persons or not.

AP is 0 both for a model that is a little wrong everywhere and for one that is lost; PCK and the
median error tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.coco import PoseDataset
from posebench.prediction.predictions import Predictions, check_finite
from posebench.scoring.keypoint_metrics import (
    PCK_THRESHOLDS,
    KeypointDistances,
    keypoint_distances,
    pck,
)
from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.truth import GroundTruth, ground_truth
from posebench.scoring.statistics.image_table import ErrorTable

_KEYPOINT_THRESHOLD = 0.1


@dataclass(frozen=True, eq=False)
class Localisation:
    """Labelled persons, and how far from their labels the best prediction puts keypoints."""

    dataset: PoseDataset
    truth: GroundTruth
    distances: KeypointDistances

    @property
    def errors(self) -> NDArray[np.float64]:
        """Distances (L,) of the labelled keypoints over the longer side of their person's box."""
        return self.distances.relative[~np.isnan(self.distances.pixels)]

    def table(self) -> ErrorTable:
        """Return what resampling needs, in half the memory; each PCK is that of `errors`."""
        image = self.truth.image[self.distances.person]
        return ErrorTable(
            self.dataset.keypoints.keypoints, image, in_single_precision(self.distances.relative)
        )


def localise(dataset: PoseDataset, predictions: Predictions) -> Localisation:
    """Measure each labelled person against the prediction of best OKS in its image.

    Crowds, persons without labelled keypoints and those with an empty box do not count. One
    prediction may serve several persons; in an image without any, all keypoints are misses. Raises
    `EvaluationError` if predictions are not finite or are of images that the data set lacks.
    """
    check_finite(predictions)
    truth = ground_truth(dataset)
    distances = keypoint_distances(truth, detections_of(predictions))
    return Localisation(dataset, truth, distances)


def detections_of(predictions: Predictions) -> Detections:
    """Return predictions as columns, before rescoring and NMS."""
    return Detections(
        image_ids=predictions.image_ids.astype(np.int64),
        keypoints=predictions.keypoints.astype(np.float64),
        keypoint_scores=predictions.keypoint_scores.astype(np.float64),
        scores=predictions.bbox_scores.astype(np.float64),
        areas=predictions.areas.astype(np.float64),
    )


def in_single_precision(errors: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return errors rounded to single precision; none that is beyond a threshold rounds to it."""
    with np.errstate(over="ignore"):
        rounded = errors.astype(np.float32)
    for threshold in PCK_THRESHOLDS:
        limit = np.float32(threshold)
        rounded[(errors > threshold) & (rounded <= limit)] = np.nextafter(limit, np.float32(1))
    return rounded


def share_within(found: Localisation, threshold: float) -> float:
    """Return the share of keypoints at most `threshold` longer box sides away, 0 without any."""
    errors = found.errors
    return float((errors <= threshold).mean()) if errors.size else 0.0


def median_error(found: Localisation) -> float | None:
    """Return the median error in longer box sides, None if at least half are misses."""
    errors = found.errors
    middle = float(np.median(errors)) if errors.size else np.inf
    return middle if np.isfinite(middle) else None


def share_by_keypoint(found: Localisation) -> dict[str, float | None]:
    """Return PCK@0.1 by the keypoint's name, None if nobody has it labelled."""
    columns = found.distances.relative.T
    return {
        name: pck(column[~np.isnan(column)])[_KEYPOINT_THRESHOLD]
        for name, column in zip(found.dataset.keypoints.keypoints, columns, strict=True)
    }
