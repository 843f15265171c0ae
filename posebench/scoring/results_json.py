"""COCO results files, written as MMPose 1.3.2's `CocoMetric.results2json` does (with `bbox`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.categories import PERSON
from posebench.datasets.checks.findings import Finding
from posebench.datasets.checks.row_faults import fault_findings, result_fault
from posebench.datasets.known.forms import joined
from posebench.errors import DataError
from posebench.files.json_file import read_json
from posebench.prediction.predictions import Predictions, group_by_image
from posebench.scoring.matching.detections import Detections, ResultColumns
from posebench.scoring.whole_body.parts import RESULT_LAYOUT

RESULT_FORMAT = (
    "Each result is an object with image_id, category_id, keypoints [x, y, score] * K and score, "
    "and all or none of them have bbox [x, y, w, h]."
)


def to_coco_results(
    predictions: Predictions,
    scores: NDArray[Any],
    keep: NDArray[np.int64] | None = None,
    category: int | Mapping[int, int] = PERSON,
) -> list[dict[str, Any]]:
    """Return the predictions at positions `keep`, in that order, as COCO results.

    `scores` (N,) are instance scores. Without `keep`, every instance comes once, images in order of
    first appearance and ids ascending within an image. Each result has the box it came from, so
    that evaluators take its area from there. `category` is that of all, or that of each id.
    """
    if keep is None:
        groups = group_by_image(predictions.image_ids, predictions.ids)
        keep = np.concatenate(groups) if groups else np.zeros(0, dtype=np.int64)
    triplets = np.concatenate(
        [predictions.keypoints, predictions.keypoint_scores[..., None]], axis=2
    )
    boxes = predictions.bbox_xyxy.copy()
    boxes[:, 2:] -= boxes[:, :2]
    columns = (
        predictions.image_ids[keep].tolist(),
        _category_ids(predictions, keep, category).tolist(),
        triplets[keep].reshape(len(keep), 3 * triplets.shape[1]).tolist(),
        scores[keep].tolist(),
        boxes[keep].tolist(),
    )
    return [
        {
            "image_id": image,
            "category_id": own,
            "keypoints": keypoints,
            "score": score,
            "bbox": box,
        }
        for image, own, keypoints, score, box in zip(*columns, strict=True)
    ]


def _category_ids(
    predictions: Predictions, keep: NDArray[np.int64], category: int | Mapping[int, int]
) -> NDArray[np.int64]:
    if isinstance(category, int):
        return np.full(len(keep), category, dtype=np.int64)
    return np.array([category[own] for own in predictions.ids[keep].tolist()], dtype=np.int64)


def chosen_columns(
    predictions: Predictions,
    scores: NDArray[Any],
    keep: NDArray[np.int64],
    category: int | Mapping[int, int],
) -> ResultColumns:
    """Return as columns what `to_coco_results` returns as rows, number by number."""
    boxes = predictions.bbox_xyxy[keep]
    boxes[:, 2:] -= boxes[:, :2]
    bbox_xywh = boxes.astype(np.float64)
    found = Detections(
        image_ids=predictions.image_ids[keep].astype(np.int64),
        keypoints=predictions.keypoints[keep].astype(np.float64),
        keypoint_scores=predictions.keypoint_scores[keep].astype(np.float64),
        scores=np.asarray(scores)[keep].astype(np.float64),
        areas=bbox_xywh[:, 2] * bbox_xywh[:, 3],
    )
    return ResultColumns(found, _category_ids(predictions, keep, category), bbox_xywh)


def rows_of(columns: ResultColumns) -> list[dict[str, Any]]:
    """Return results as COCO writes them, from columns."""
    found = columns.detections
    triplets = np.concatenate([found.keypoints, found.keypoint_scores[..., None]], axis=2)
    boxes = columns.bbox_xywh
    return [
        {
            "image_id": int(found.image_ids[index]),
            "category_id": int(columns.category_ids[index]),
            "keypoints": triplets[index].reshape(-1).tolist(),
            "score": float(found.scores[index]),
            **({} if boxes is None else {"bbox": boxes[index].tolist()}),
            **{RESULT_LAYOUT.score_fields[name]: v[index] for name, v in found.part_scores.items()},
        }
        for index in range(len(columns))
    ]


def read_coco_results(
    path: Path, keypoint_count: int, *, whole_body: bool = False
) -> list[dict[str, Any]]:
    """Read a COCO results file of poses; those of whole bodies may have a list for each part.

    Raises `DataError` if it cannot be scored.
    """
    raw, _ = read_json(path, "results file")
    if not isinstance(raw, list):
        raise DataError(f"The results file {path} does not hold a list.", hint=RESULT_FORMAT)
    if whole_body:
        raw = [joined(row) if isinstance(row, dict) else row for row in raw]
    raise_faults(path, row_faults(raw, keypoint_count))
    boxed = sum("bbox" in row for row in raw)
    raise_faults(path, box_count_faults(boxed, len(raw)))
    return raw


def row_faults(rows: list[Any], keypoint_count: int, first: int = 0) -> list[Finding]:
    """Return the faults that keep rows, counted from `first`, from being results of K keypoints."""
    faults = ((index, row, result_fault(row, keypoint_count)) for index, row in enumerate(rows))
    bad = [(index, row, fault) for index, row, fault in faults if fault is not None]
    return fault_findings("results-fields", "Results", bad, first)


def box_count_faults(boxed: int, rows: int) -> list[Finding]:
    """Return a finding if some results have a box and others have none."""
    if boxed in (0, rows):
        return []
    return [Finding("results-box-some", f"Only {boxed} of {rows} results have a bbox", boxed)]


def raise_faults(path: Path, faults: list[Finding]) -> None:
    """Refuse a results file that has faults.

    Raises `DataError` if there is a fault, and names the first.
    """
    if faults:
        more = f" ({len(faults) - 1} more kinds of error.)" if len(faults) > 1 else ""
        hint = f"{faults[0].hint} {RESULT_FORMAT}" if faults[0].hint else RESULT_FORMAT
        raise DataError(f"The results file {path} cannot be used. {faults[0]}{more}", hint=hint)
