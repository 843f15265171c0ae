"""Detected boxes as instances, as MMPose 1.3.2 reads a `bbox_file`; box filters and changes.

MMPose applies no score threshold and no NMS to boxes (`base_coco_style_dataset.py:421-475`);
the original HRNet code offers both, so they are options that are off by default.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.checks.findings import Finding, finding
from posebench.datasets.checks.person_defects import is_posed
from posebench.datasets.checks.readings import Placed, box_reading_by_boxes
from posebench.datasets.checks.row_faults import LARGEST_SCORE, box_fault, fault_findings
from posebench.datasets.choices import BoxChange, BoxFilter
from posebench.datasets.coco import Instances, PoseDataset
from posebench.datasets.columns import number_column, number_matrix
from posebench.errors import DataError
from posebench.files.json_file import read_json

_FORMAT = "Each box is an object with image_id, category_id, bbox [x, y, w, h] and score."
# Pixels: a box beyond this lies in no image, and need not fit float32.
_FARTHEST = 1e9


def changed_boxes(bbox_xyxy: NDArray[np.float32], change: BoxChange) -> NDArray[np.float32]:
    """Return boxes (N, 4), x1 y1 x2 y2, moved and scaled; as they are if nothing changes."""
    if change == BoxChange():
        return bbox_xyxy
    corners = bbox_xyxy.astype(np.float64)
    sides = corners[:, 2:] - corners[:, :2]
    centers = (corners[:, 2:] + corners[:, :2]) / 2 + sides * np.array(change.shift)
    half = sides * (change.scale / 2)
    return np.concatenate([centers - half, centers + half], axis=1).astype(np.float32)


def detected_instances(
    dataset: PoseDataset, path: Path, box_filter: BoxFilter | None = None
) -> Instances:
    """Return the persons of a detections file, in file order, boxes as they are.

    Left out are boxes of other categories, of images outside the data set, and those that give no
    crop: a negative side, or both sides 0. (MMPose pads a box with one side 0 to the aspect ratio,
    so it stays.) `left_out` counts them. Raises `DataError` if the file is malformed or has no box
    for this data set, or if the data set has several categories.
    """
    if dataset.together:
        raise _of_several(dataset)
    raw, _ = read_json(path, "boxes file")
    rows = _sound_rows(path, raw)
    persons = rows.category_ids == dataset.category.id
    place_of = {image.id: index for index, image in enumerate(dataset.images)}
    places = [place_of.get(image, -1) for image in rows.image_ids.tolist()]
    image_index = np.array(places, dtype=np.int64)
    known = np.flatnonzero(persons & (image_index >= 0))
    if not len(known):
        raise _no_box(dataset, path, rows)
    bbox64 = rows.bbox_xywh[known]
    # A box that float32 cannot hold lies in no image.
    usable: NDArray[np.bool_] = np.logical_and(
        bbox64[:, 2:].min(axis=1) >= 0,
        bbox64[:, 2:].any(axis=1) & (np.abs(bbox64) < _FARTHEST).all(axis=1),
    )
    bbox = np.where(np.abs(bbox64) < _FARTHEST, bbox64, 0).astype(np.float32)
    bbox[:, 2:] += bbox[:, :2]
    instances = Instances(
        image_index=image_index[known],
        ids=np.arange(len(known), dtype=np.int64),
        bbox_xyxy=bbox,
        bbox_scores=rows.scores[known].astype(np.float32),
    )
    kept = _filtered(instances, usable, box_filter or BoxFilter())
    counts = {
        "of other categories": int((~persons).sum()),
        "of images that are not in the data set": int(persons.sum()) - len(known),
        "of no size": int((~usable).sum()),
        "dropped by the box filter": int(usable.sum()) - len(kept),
    }
    left_out = tuple(f"{count} boxes {why}" for why, count in counts.items() if count)
    return replace(instances_at(instances, kept), left_out=left_out)


def instances_at(instances: Instances, rows: NDArray[np.intp] | slice) -> Instances:
    """Return the persons of some rows, in their order."""
    keypoints = instances.keypoints
    return replace(
        instances,
        image_index=instances.image_index[rows],
        ids=instances.ids[rows],
        bbox_xyxy=instances.bbox_xyxy[rows],
        bbox_scores=instances.bbox_scores[rows],
        keypoints=None if keypoints is None else keypoints[rows],
    )


def _of_several(dataset: PoseDataset) -> DataError:
    return DataError(
        f"Detected boxes are read for one category, and {dataset.name} has {dataset.category} "
        "evaluated together.",
        hint="Leave out --boxes for ground-truth boxes, or name one with --category.",
    )


def _no_box(dataset: PoseDataset, path: Path, rows: _Rows) -> DataError:
    counts = Counter(rows.category_ids.tolist())
    category = dataset.category
    others = ", ".join(str(key) for key in sorted(counts)[:8])
    return DataError(
        f"The boxes file {path} has no box of category {category} for any of the "
        f"{len(dataset.images)} images of {dataset.annotations} ({counts.total()} boxes of "
        f"categories {others}, {counts[category.id]} of this one).",
        hint="Is it for another data set or split, or does it use other category numbers?",
    )


def box_findings(dataset: PoseDataset, detected: Instances) -> list[Finding]:
    """Return findings on detected boxes: those left out, images without any, form and scores."""
    found = [Finding("boxes-left-out", f"{reason} left out") for reason in detected.left_out]
    index_of = {image.id: index for index, image in enumerate(dataset.images)}
    labelled = [row for row in dataset.persons if is_posed(row)]
    owners = np.array([index_of[row["image_id"]] for row in labelled], dtype=np.int64)
    empty = sorted(set(owners.tolist()) - set(detected.image_index.tolist()))
    found += finding(
        "boxes-none-in-image",
        "Images with persons but without a detected box",
        (f"image {dataset.images[index].id}" for index in empty),
    )
    boxes = detected.bbox_xyxy.astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    sizes = np.array([(image.width, image.height) for image in dataset.images], dtype=np.float64)
    annotated = np.array([row["bbox"] for row in labelled], dtype=np.float64).reshape(-1, 4)
    reading = box_reading_by_boxes(
        Placed(boxes, detected.image_index),
        Placed(annotated, owners),
        sizes[detected.image_index],
    )
    if reading is not None:
        found.append(Finding("boxes-reading", f"Detected: {reading}", len(boxes)))
    return found + _score_findings(detected.bbox_scores)


def _score_findings(scores: NDArray[np.float32]) -> list[Finding]:
    odd = int(np.count_nonzero((scores < 0) | (scores > 1)))
    if odd:
        what = f"{odd} of {len(scores)} detected boxes have scores below 0 or above 1"
        return [Finding("boxes-scores-range", what, odd)]
    if len(scores) > 1 and (scores == scores[0]).all():
        what = f"All {len(scores)} detected boxes have the score {scores[0]:g}"
        return [Finding("boxes-scores-equal", what, len(scores))]
    return []


@dataclass(frozen=True, eq=False)
class _Rows:
    """N rows of a boxes file: ids and scores (N,), boxes (N, 4)."""

    image_ids: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    bbox_xywh: NDArray[np.float64]
    scores: NDArray[np.float64]


def _sound_rows(path: Path, raw: Any) -> _Rows:
    """Return the rows of a file; raise `DataError` unless it is a list of sound boxes."""
    try:
        rows = _rows(raw)
    except (KeyError, TypeError, ValueError, OverflowError):
        # Looking at one row after the other tells which is not sound, and why.
        _check_boxes(path, raw)
        rows = _rows([{**row, "bbox": row["bbox"][:4]} for row in raw])
    return rows


def _rows(raw: Any) -> _Rows:
    """Return sound rows as columns, without a loop over numbers; raise an error for any other."""
    if not raw or type(raw) is not list or set(map(type, raw)) != {dict}:
        raise ValueError("not rows")
    ids = [[row[name] for row in raw] for name in ("image_id", "category_id")]
    scores, boxes = [row["score"] for row in raw], [row["bbox"] for row in raw]
    if set(map(type, chain(*ids))) != {int} or set(map(type, boxes)) != {list}:
        raise ValueError("not ids and boxes")
    if set(map(type, chain(scores, *boxes))) - {int, float}:
        raise ValueError("not numbers")
    image_ids, category_ids = (np.array(column, dtype=np.int64) for column in ids)
    found = _Rows(image_ids, category_ids, number_matrix(boxes, 4), number_column(scores))
    if (np.abs(found.scores) > LARGEST_SCORE).any():
        raise ValueError("not 32 bits")
    return found


def _check_boxes(path: Path, raw: Any) -> None:
    """Raise `DataError` unless the file is a list of sound boxes."""
    if not isinstance(raw, list):
        raise DataError(f"The boxes file {path} does not hold a list.", hint=_FORMAT)
    if not raw:
        raise DataError(f"The boxes file {path} is empty: it lists no box.")
    faults = ((index, row, box_fault(row)) for index, row in enumerate(raw))
    bad = [(index, row, fault) for index, row, fault in faults if fault is not None]
    for item in fault_findings("unusable", "Boxes", bad):
        raise DataError(
            f"The boxes file {path} cannot be used. {item}",
            hint=f"{item.hint or ''} {_FORMAT}".strip(),
        )


def _filtered(
    instances: Instances, usable: NDArray[np.bool_], box_filter: BoxFilter
) -> NDArray[np.int64]:
    """Return the positions to keep, in file order."""
    candidates = np.flatnonzero(usable & (instances.bbox_scores >= box_filter.min_score))
    if box_filter.nms_threshold is None and box_filter.max_per_image is None:
        return candidates.astype(np.int64)
    kept: list[int] = []
    images = instances.image_index[candidates]
    for image in np.unique(images):
        rows = candidates[images == image]
        rows = rows[np.argsort(-instances.bbox_scores[rows], kind="stable")]
        if box_filter.nms_threshold is not None:
            rows = rows[box_nms(instances.bbox_xyxy[rows], box_filter.nms_threshold)]
        kept.extend(rows[: box_filter.max_per_image].tolist())
    return np.asarray(sorted(kept), dtype=np.int64)


def box_nms(bbox_xyxy: NDArray[np.float32], threshold: float) -> NDArray[np.int64]:
    """Return the positions kept by greedy NMS of boxes (N, 4) sorted best first.

    A box goes when its IoU with a kept one is above `threshold`; continuous coordinates.
    """
    corners = bbox_xyxy.astype(np.float64)
    areas = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    order = np.arange(len(corners))
    kept = []
    while order.size:
        first, rest = order[0], order[1:]
        kept.append(first)
        top_left = np.maximum(corners[first, :2], corners[rest, :2])
        bottom_right = np.minimum(corners[first, 2:], corners[rest, 2:])
        overlap = np.prod(np.clip(bottom_right - top_left, 0, None), axis=1)
        iou = overlap / np.maximum(areas[first] + areas[rest] - overlap, np.finfo(float).tiny)
        order = rest[iou <= threshold]
    return np.asarray(kept, dtype=np.int64)
