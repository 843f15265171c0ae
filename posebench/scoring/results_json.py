"""COCO results files, written as MMPose 1.3.2's `CocoMetric.results2json` does (with `bbox`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.defects import PERSON
from posebench.datasets.findings import are_numbers, finding, has_length, is_integer, is_number
from posebench.errors import DataError
from posebench.files.json_file import read_json
from posebench.prediction.predictions import Predictions, group_by_image

RESULT_FORMAT = (
    "Each result is an object with image_id, category_id, keypoints [x, y, score] * K and score, "
    "and all or none of them have bbox [x, y, w, h]."
)


def to_coco_results(
    predictions: Predictions,
    scores: NDArray[Any],
    keep: NDArray[np.int64] | None = None,
) -> list[dict[str, Any]]:
    """Return the predictions at positions `keep`, in that order, as COCO results.

    `scores` (N,) are instance scores. Left out, `keep` is every instance once, images in order
    of first appearance and ids ascending within one. Each result has the box it came from, so
    that evaluators take its area from there.
    """
    if keep is None:
        groups = group_by_image(predictions.image_ids, predictions.ids)
        keep = np.concatenate(groups) if groups else np.zeros(0, dtype=np.int64)
    triplets = np.concatenate(
        [predictions.keypoints, predictions.keypoint_scores[..., None]], axis=2
    )
    boxes = predictions.bbox_xyxy.copy()
    boxes[:, 2:] -= boxes[:, :2]
    return [
        {
            "image_id": int(predictions.image_ids[index]),
            "category_id": PERSON,
            "keypoints": triplets[index].reshape(-1).tolist(),
            "score": float(scores[index]),
            "bbox": boxes[index].tolist(),
        }
        for index in keep
    ]


def read_coco_results(path: Path, keypoint_count: int) -> list[dict[str, Any]]:
    """Read a COCO results file of poses; raise `DataError` for one that cannot be scored."""
    raw, _ = read_json(path, "results file")
    if not isinstance(raw, list):
        raise DataError(f"The results file {path} does not hold a list.", hint=RESULT_FORMAT)
    boxed = sum(isinstance(row, dict) and "bbox" in row for row in raw)
    bad = [f"entry {index}" for index, row in enumerate(raw) if not is_result(row, keypoint_count)]
    defects = finding("error", f"Entries that are not results of {keypoint_count} keypoints", bad)
    if not defects and boxed not in (0, len(raw)):
        defects = finding("error", f"Only {boxed} of {len(raw)} results have a bbox", [path])
    if defects:
        raise DataError(f"The results file {path} cannot be used. {defects[0]}", hint=RESULT_FORMAT)
    return raw


def is_result(row: Any, keypoint_count: int) -> bool:
    """Tell whether a parsed JSON value is a result of K keypoints, all of it finite numbers."""
    return (
        isinstance(row, dict)
        and is_integer(row.get("image_id"))
        and is_integer(row.get("category_id"))
        and is_number(row.get("score"))
        and has_length(row.get("keypoints"), 3 * keypoint_count)
        and are_numbers(row["keypoints"], 3 * keypoint_count)
        and ("bbox" not in row or are_numbers(row["bbox"], 4))
    )
