"""Distances of keypoints from their labels, relative to heads, boxes, torsos and faces.

Must equal `_calc_distances` of MMPose 1.3.2's `mmpose/evaluation/functional/keypoint_eval.py`: the
quotient in double precision, then rounded to single.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.coco import Instances, PoseDataset, ground_truth_instances
from posebench.datasets.known.mpii import HEAD_SIZE
from posebench.datasets.known.record import Distances
from posebench.errors import DataError
from posebench.scoring.distances.pairing import rows_by_box, rows_by_id, rows_by_likeness
from posebench.scoring.distances.recipes import AUC_PIXELS, DISTANCE_METRICS
from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.truth import GroundTruth
from posebench.scoring.statistics.image_table import DistanceMetric, ErrorTable

# Pixels; of a smaller torso MMPose takes the predicted one instead.
_LEAST_TORSO = 1.0


@dataclass(frozen=True, eq=False)
class Found:
    """N results as columns, with their instances' ids (N,) or boxes (N, 4) if those are known."""

    detections: Detections
    ids: NDArray[np.int64] | None = None
    bbox_xywh: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class _Measured:
    """P persons that MMPose evaluates; `points` (P, K, 2) are predicted, infinite for nobody's."""

    dataset: PoseDataset
    distances: Distances
    persons: Instances
    points: NDArray[np.float64]

    @property
    def labels(self) -> NDArray[np.float32]:
        """Keypoints (P, K, 3): x, y and visibility flag."""
        assert self.persons.keypoints is not None, "ground truth has keypoints"
        return self.persons.keypoints


def distance_recipes(distances: Distances | None) -> tuple[DistanceMetric, ...]:
    """Return the recipes of a data set's metrics by distance."""
    return () if distances is None else tuple(DISTANCE_METRICS[name] for name in distances.metrics)


def distance_tables(
    dataset: PoseDataset, truth: GroundTruth, found: Found
) -> dict[str, ErrorTable]:
    """Return the distances that a data set's metrics are made of, by what they are relative to.

    Persons are those that MMPose evaluates with ground-truth boxes; each is measured against the
    result of its own id, else of its own box, else one that is like it and of nobody else.
    Distances of a person who is left without a result are infinite; those relative to a size of 0
    do not count. Raises `DataError` if an annotation lacks the size that a metric needs.
    """
    distances = dataset.distances
    if distances is None:
        return {}
    persons = ground_truth_instances(dataset)
    rows = _rows(dataset, truth, persons, found)
    points = np.full((len(persons), len(dataset.keypoints), 2), np.inf)
    points[rows >= 0] = found.detections.keypoints[rows[rows >= 0]]
    measured = _Measured(dataset, distances, persons, points)
    image = np.searchsorted(truth.image_ids, _image_ids(dataset, persons))
    scales = dict.fromkeys(recipe.scale for recipe in distance_recipes(distances))
    return {
        scale: ErrorTable(dataset.keypoints.keypoints, image, _relative(measured, scale))
        for scale in scales
    }


def _image_ids(dataset: PoseDataset, persons: Instances) -> NDArray[np.int64]:
    ids = np.array([image.id for image in dataset.images], dtype=np.int64)
    return ids[persons.image_index]


def _rows(
    dataset: PoseDataset, truth: GroundTruth, persons: Instances, found: Found
) -> NDArray[np.int64]:
    """Return the result (P,) of each person, -1 for none."""
    owners, image_ids = found.detections.image_ids, _image_ids(dataset, persons)
    if found.ids is not None:
        rows = rows_by_id(persons, image_ids, found.ids, owners)
        if rows is not None:
            return rows
    rows = np.full(len(persons), -1, dtype=np.int64)
    if found.bbox_xywh is not None:
        rows = rows_by_box(persons, image_ids, owners, found.bbox_xywh)
    return rows_by_likeness(truth, persons, found.detections, rows)


def _relative(measured: _Measured, scale: str) -> NDArray[np.float32]:
    """Return distances (P, K), NaN where they do not count."""
    labels = measured.labels
    size = np.asarray(_SIZES[scale](measured), dtype=np.float64)
    # What MMPose does with a size that is no size.
    divisor = np.where(size <= 0, 1e6, size)
    with np.errstate(invalid="ignore", over="ignore"):
        offsets = (measured.points - labels[..., :2]) / divisor[:, None, None]
        errors = np.linalg.norm(offsets, axis=2).astype(np.float32)
    errors[np.isinf(measured.points).any(axis=2)] = np.inf
    errors[~(labels[..., 2] > 0)] = np.nan
    errors[size == 0] = np.nan
    return np.asarray(errors, dtype=np.float32)


def _ones(measured: _Measured) -> NDArray[np.float64]:
    return np.ones(len(measured.persons))


def _box_sizes(measured: _Measured) -> NDArray[np.float64]:
    """Return the longer side (P,) of each box."""
    corners = measured.persons.bbox_xyxy
    return np.asarray((corners[:, 2:] - corners[:, :2]).max(axis=1), dtype=np.float64)


def _head_sizes(measured: _Measured) -> NDArray[np.float64]:
    """Return the head size (P,) of each person's annotation."""
    rows, ids = {row["id"]: row for row in measured.dataset.persons}, measured.persons.ids.tolist()
    sizes = [rows[key].get(HEAD_SIZE) for key in ids]
    for key, size in zip(ids, sizes, strict=True):
        if not isinstance(size, int | float) or not np.isfinite(size):
            raise DataError(
                f"Annotation {key} of {measured.dataset.annotations} has no {HEAD_SIZE}, which "
                f"{measured.distances.metrics[0]} is relative to.",
                hint=f"Give each annotation a {HEAD_SIZE} in pixels: 0.6 of its head box's "
                "diagonal.",
            )
    return np.array(sizes, dtype=np.float64)


def _torso_sizes(measured: _Measured) -> NDArray[np.float64]:
    assert measured.distances.torso is not None, "the record of the data set names its torso"
    one, other = _indices(measured, measured.distances.torso)
    labels, points = measured.labels[..., :2], measured.points
    own = np.linalg.norm(labels[:, one] - labels[:, other], axis=1).astype(np.float64)
    with np.errstate(invalid="ignore"):
        predicted = np.linalg.norm(points[:, one] - points[:, other], axis=1)
    return np.asarray(np.where(own < _LEAST_TORSO, np.nan_to_num(predicted, nan=np.inf), own))


def _face_sizes(measured: _Measured) -> NDArray[np.float64]:
    size = measured.distances.face_size
    assert size is not None, "the record of the data set names the size of its faces"
    if size == "box":
        return _box_sizes(measured)
    one, other = _indices(measured, size)
    labels = measured.labels[..., :2]
    sizes = np.linalg.norm(labels[:, one] - labels[:, other], axis=1)
    return np.asarray(sizes, dtype=np.float64)


def _indices(measured: _Measured, names: tuple[str, str]) -> tuple[int, int]:
    keypoints = measured.dataset.keypoints.keypoints
    return keypoints.index(names[0]), keypoints.index(names[1])


_SIZES: Mapping[str, Callable[[_Measured], NDArray[np.float64]]] = {
    "pixels": _ones,
    f"{AUC_PIXELS:g} pixels": lambda measured: AUC_PIXELS * _ones(measured),
    "box": _box_sizes,
    "head": _head_sizes,
    "torso": _torso_sizes,
    "face": _face_sizes,
}
