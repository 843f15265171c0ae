"""How far predicted keypoints lie from the labelled ones, matched persons or not.

AP is 0 for a model that is wrong everywhere by a little and for one that is lost; PCK and the
median error tell them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.coco import PoseDataset, annotation_area
from posebench.datasets.defects import labelled_count
from posebench.evaluation.predictions import Predictions, check_finite

PCK_THRESHOLDS = (0.05, 0.1, 0.2)


@dataclass(frozen=True)
class LocalisationError:
    """Distances of labelled keypoints to the best prediction, over the longer box side.

    `pck` maps a threshold to the fraction of labelled keypoints at most that far away;
    `median_error` is over the same keypoints, None where at least half of them are misses.
    `persons` of the ground truth have `keypoints` labelled keypoints; `missed_persons` of them
    are in images without any prediction, and all their keypoints are misses.
    """

    pck: Mapping[float, float]
    median_error: float | None
    persons: int
    missed_persons: int
    keypoints: int


def localisation_error(dataset: PoseDataset, predictions: Predictions) -> LocalisationError:
    """Measure each labelled person against the prediction of best OKS in its image.

    Crowds, persons without labelled keypoints and those with an empty box do not count. One
    prediction may serve several persons. With nobody labelled, every PCK is 0.
    """
    check_finite(predictions)
    sigmas = np.asarray(dataset.keypoints.sigmas)
    rows_of: dict[int, list[int]] = {}
    for position, image_id in enumerate(predictions.image_ids.tolist()):
        rows_of.setdefault(image_id, []).append(position)
    errors: list[NDArray[np.float64]] = []
    missed = 0
    for person in dataset.persons:
        truth = np.asarray(person["keypoints"], dtype=np.float64).reshape(-1, 3)
        labelled = truth[:, 2] > 0
        side = float(max(person["bbox"][2:]))
        if person.get("iscrowd") or not labelled_count(person) or not labelled.any() or side <= 0:
            continue
        rows = rows_of.get(person["image_id"])
        if rows is None:
            missed += 1
            errors.append(np.full(int(labelled.sum()), np.inf))
            continue
        offsets = predictions.keypoints[rows][:, labelled].astype(np.float64)
        distances = np.linalg.norm(offsets - truth[labelled, :2], axis=2)
        area = annotation_area(person, dataset.area_rule)
        errors.append(distances[_best(distances, sigmas[labelled], area)] / side)
    return _summary(np.concatenate(errors) if errors else np.zeros(0), len(errors), missed)


def _best(distances: NDArray[np.float64], sigmas: NDArray[Any], area: float) -> int:
    """Return the row of `distances` (N, L) with the best OKS; of equals, the nearest."""
    oks = np.exp(-(distances**2) / (2 * (2 * sigmas) ** 2 * (area + np.spacing(1)))).mean(axis=1)
    return int(np.lexsort((distances.mean(axis=1), -oks))[0])


def _summary(errors: NDArray[np.float64], persons: int, missed: int) -> LocalisationError:
    middle = float(np.median(errors)) if errors.size else np.inf
    return LocalisationError(
        pck={t: float((errors <= t).mean()) if errors.size else 0.0 for t in PCK_THRESHOLDS},
        median_error=middle if np.isfinite(middle) else None,
        persons=persons,
        missed_persons=missed,
        keypoints=int(errors.size),
    )
