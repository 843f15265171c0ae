"""Whose pose a result is, where every person has one: by id, by box, else by likeness.

The metrics by distance are defined for the protocol of ground-truth boxes, in which a network
answers once for each annotated person.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.coco import Instances
from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.pairing import one_to_one, rows_by_image
from posebench.scoring.matching.truth import GroundTruth

# Pixels by which a result's box may differ from the person's, for rounding in its file.
_SAME_BOX = 0.51


def rows_by_id(
    instances: Instances,
    image_ids: NDArray[np.int64],
    ids: NDArray[np.int64],
    owners: NDArray[np.int64],
) -> NDArray[np.int64] | None:
    """Return the prediction (P,) of each instance, None unless predictions are of the instances.

    `image_ids` (P,) are those of the instances; `ids` (N,) and `owners` (N,) the predictions' ids
    and image ids.
    """
    if len(ids) != len(instances):
        return None
    order, wanted = np.lexsort((owners, ids)), np.lexsort((image_ids, instances.ids))
    if not (ids[order] == instances.ids[wanted]).all():
        return None
    if not (owners[order] == image_ids[wanted]).all():
        return None
    rows = np.empty(len(ids), dtype=np.int64)
    rows[wanted] = order
    return rows


def rows_by_box(
    instances: Instances,
    image_ids: NDArray[np.int64],
    owners: NDArray[np.int64],
    bbox_xywh: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return the result (P,) whose box is that of each instance and of no other, -1 for none."""
    corners = bbox_xywh.copy()
    corners[:, 2:] += corners[:, :2]
    of_image = rows_by_image(owners)
    persons = rows_by_image(image_ids)
    rows = np.full(len(instances), -1, dtype=np.int64)
    for image, own in persons.items():
        found = of_image.get(image, np.zeros(0, dtype=np.int64))
        gaps = np.abs(corners[found][None] - instances.bbox_xyxy[own][:, None]).max(axis=2)
        same = gaps <= _SAME_BOX
        alone = (same.sum(axis=1) == 1) & (same[:, same.sum(axis=0) > 1].sum(axis=1) == 0)
        rows[own[alone]] = found[same[alone].argmax(axis=1)] if alone.any() else rows[own[alone]]
    return rows


def rows_by_likeness(
    truth: GroundTruth,
    instances: Instances,
    detections: Detections,
    rows: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return `rows` (P,) with results for those who have none, -1 where none is left.

    The pairs of best OKS go first, of equals the nearest; nobody gets a result of someone else.
    """
    lacking = rows < 0
    free = np.ones(len(detections), dtype=bool)
    free[rows[~lacking]] = False
    among = np.isin(truth.ids, instances.ids[lacking])
    person = one_to_one(truth, detections.subset(free), among, nearest_first=True).row
    paired, owners = np.flatnonzero(free)[person >= 0], truth.ids[person[person >= 0]]
    order = np.argsort(instances.ids, kind="stable")
    found: NDArray[np.int64] = rows.copy()
    found[order[np.searchsorted(instances.ids, owners, sorter=order)]] = paired
    return found
