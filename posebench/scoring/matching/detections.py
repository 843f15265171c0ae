"""Detected persons as columns, from COCO results, with the checks that evaluators leave out.

Areas are those of pycocotools' `loadRes`: of the result's box, else of its keypoints' extent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.categories import PERSON
from posebench.datasets.columns import number_column, number_matrix

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Detections:
    """N detected persons, in the order of their file.

    `image_ids` (N,); `keypoints` (N, K, 2) in pixels; `keypoint_scores` (N, K); `scores` (N,);
    `areas` (N,) in square pixels.
    """

    image_ids: NDArray[np.int64]
    keypoints: NDArray[np.float64]
    keypoint_scores: NDArray[np.float64]
    scores: NDArray[np.float64]
    areas: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.image_ids)

    def subset(self, keep: NDArray[Any]) -> Detections:
        """Return the detections at `keep`, positions or a mask."""
        return Detections(
            self.image_ids[keep],
            self.keypoints[keep],
            self.keypoint_scores[keep],
            self.scores[keep],
            self.areas[keep],
        )


def no_detections(keypoint_count: int) -> Detections:
    """Return an empty set of detections of K keypoints."""
    nothing = np.zeros((0, keypoint_count, 3))
    return _detections(np.zeros(0, dtype=np.int64), nothing, np.zeros(0), np.zeros((0, 4)))


@dataclass(frozen=True, eq=False)
class ResultColumns:
    """N results of any category: `category_ids` (N,), `bbox_xywh` (N, 4) if they have boxes."""

    detections: Detections
    category_ids: NDArray[np.int64]
    bbox_xywh: NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.detections)

    def of(self, category: int) -> Detections:
        """Return the detections of one category."""
        own = self.category_ids == category
        return self.detections if own.all() else self.detections.subset(own)


def join_columns(parts: Iterable[ResultColumns], keypoint_count: int) -> ResultColumns:
    """Return results one after the other; all or none of the parts have boxes."""
    blocks = list(parts)
    if not blocks:
        return ResultColumns(no_detections(keypoint_count), np.zeros(0, dtype=np.int64), None)
    names = ("image_ids", "keypoints", "keypoint_scores", "scores", "areas")
    boxes = [block.bbox_xywh for block in blocks if block.bbox_xywh is not None]
    return ResultColumns(
        Detections(
            *(
                np.concatenate([getattr(block.detections, name) for block in blocks])
                for name in names
            )
        ),
        np.concatenate([block.category_ids for block in blocks]),
        np.concatenate(boxes) if boxes else None,
    )


def detections_from_results(
    rows: list[Row], keypoint_count: int, category: int = PERSON
) -> Detections | None:
    """Return the COCO results of a category as columns, or None if `result_columns` gives None."""
    columns = result_columns(rows, keypoint_count)
    return None if columns is None else columns.of(category)


def result_columns(rows: list[Row], keypoint_count: int) -> ResultColumns | None:
    """Return COCO results as columns, without a loop over numbers.

    Either all or none of `rows` have a box. Returns None if any row is not a sound result of K
    keypoints: finite numbers, whole ids, lists of the right length.
    """
    try:
        return _columns(rows, keypoint_count)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return None


def _columns(rows: list[Row], keypoint_count: int) -> ResultColumns:
    categories = _whole([row["category_id"] for row in rows])
    ids = _whole([row["image_id"] for row in rows])
    points = number_matrix([row["keypoints"] for row in rows], 3 * keypoint_count)
    scores = number_column([row["score"] for row in rows])
    boxes = None
    if rows and "bbox" in rows[0]:
        boxes = number_matrix([row["bbox"] for row in rows], 4)
    elif any("bbox" in row for row in rows):
        raise ValueError("some have a box")
    triplets = points.reshape(len(rows), keypoint_count, 3)
    return ResultColumns(_detections(ids, triplets, scores, boxes), categories, boxes)


def _detections(
    image_ids: NDArray[np.int64],
    triplets: NDArray[np.float64],
    scores: NDArray[np.float64],
    bbox_xywh: NDArray[np.float64] | None,
) -> Detections:
    with np.errstate(over="ignore"):  # an infinite area lies outside every range
        if bbox_xywh is not None:
            areas = bbox_xywh[:, 2] * bbox_xywh[:, 3]
        else:
            extent = triplets[..., :2].max(axis=1) - triplets[..., :2].min(axis=1)
            areas = extent[:, 0] * extent[:, 1]
    points, point_scores = triplets[..., :2].copy(), triplets[..., 2].copy()
    return Detections(image_ids, points, point_scores, scores, areas)


def _whole(values: list[Any]) -> NDArray[np.int64]:
    """Return whole numbers as an array (N,).

    Raises `ValueError` if one is not whole.
    """
    if set(map(type, values)) - {int}:
        raise ValueError("not whole numbers")
    return np.array(values, dtype=np.int64)
