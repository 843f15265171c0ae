"""Detected persons as columns, from COCO results, with the checks that evaluators leave out.

Areas are those of pycocotools' `loadRes`: of the result's box, else of its keypoints' extent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.categories import EVERY, PERSON
from posebench.datasets.columns import number_column, number_matrix

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Detections:
    """N detected persons, in the order of their file.

    `image_ids` (N,); `keypoints` (N, K, 2) in pixels; `keypoint_scores` (N, K); `scores` (N,);
    `areas` (N,) in square pixels. `part_scores` (N,) are what a part of a whole body is ranked by,
    by its name, where results say it.
    """

    image_ids: NDArray[np.int64]
    keypoints: NDArray[np.float64]
    keypoint_scores: NDArray[np.float64]
    scores: NDArray[np.float64]
    areas: NDArray[np.float64]
    part_scores: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

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
            {name: scores[keep] for name, scores in self.part_scores.items()},
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
        """Return the detections of one category, or of all for `EVERY`."""
        if category == EVERY:
            return self.detections
        own = self.category_ids == category
        return self.detections if own.all() else self.detections.subset(own)

    def boxes_of(self, category: int) -> NDArray[np.float64] | None:
        """Return the boxes of one category, None if results have none."""
        return None if self.bbox_xywh is None else self.bbox_xywh[self.category_ids == category]


def join_columns(parts: Iterable[ResultColumns], keypoint_count: int) -> ResultColumns:
    """Return results one after the other; all or none of the parts have boxes."""
    blocks = list(parts)
    if not blocks:
        return ResultColumns(no_detections(keypoint_count), np.zeros(0, dtype=np.int64), None)
    found = [block.detections for block in blocks]
    boxes = [block.bbox_xywh for block in blocks if block.bbox_xywh is not None]
    names = dict.fromkeys(name for each in found for name in each.part_scores)
    return ResultColumns(
        Detections(
            image_ids=np.concatenate([each.image_ids for each in found]),
            keypoints=np.concatenate([each.keypoints for each in found]),
            keypoint_scores=np.concatenate([each.keypoint_scores for each in found]),
            scores=np.concatenate([each.scores for each in found]),
            areas=np.concatenate([each.areas for each in found]),
            part_scores={
                name: np.concatenate([each.part_scores.get(name, each.scores) for each in found])
                for name in names
            },
        ),
        np.concatenate([block.category_ids for block in blocks]),
        np.concatenate(boxes) if boxes else None,
    )


def detections_from_results(
    rows: list[Row], keypoint_count: int, category: int = PERSON, layout: ResultLayout | None = None
) -> Detections | None:
    """Return the COCO results of a category as columns, or None if `result_columns` gives None."""
    columns = result_columns(rows, keypoint_count, layout)
    return None if columns is None else columns.of(category)


@dataclass(frozen=True)
class ResultLayout:
    """How results differ from COCO's: `area_keypoints` are the first ones, whose extent is an area.

    `score_fields` are what parts may be ranked by in place of `score`, by their names.
    """

    area_keypoints: int | None = None
    score_fields: Mapping[str, str] = field(default_factory=dict)


def result_columns(
    rows: list[Row], keypoint_count: int, layout: ResultLayout | None = None
) -> ResultColumns | None:
    """Return COCO results as columns, without a loop over numbers.

    Either all or none of `rows` have a box. Returns None if any row is not a sound result of K
    keypoints: finite numbers, whole ids, lists of the right length.
    """
    try:
        return _columns(rows, keypoint_count, layout or ResultLayout())
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return None


def _columns(rows: list[Row], keypoint_count: int, layout: ResultLayout) -> ResultColumns:
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
    found = _detections(ids, triplets, scores, boxes, layout.area_keypoints)
    parts = {
        part: number_column([row.get(name, row["score"]) for row in rows])
        for part, name in layout.score_fields.items()
        if any(name in row for row in rows)
    }
    return ResultColumns(replace(found, part_scores=parts), categories, boxes)


def _detections(
    image_ids: NDArray[np.int64],
    triplets: NDArray[np.float64],
    scores: NDArray[np.float64],
    bbox_xywh: NDArray[np.float64] | None,
    area_keypoints: int | None = None,
) -> Detections:
    with np.errstate(over="ignore"):  # an infinite area lies outside every range
        if bbox_xywh is not None:
            areas = bbox_xywh[:, 2] * bbox_xywh[:, 3]
        else:
            corners = triplets[:, :area_keypoints, :2]
            extent = corners.max(axis=1) - corners.min(axis=1)
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
