"""The annotated persons of a data set as columns, made from its dicts once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.checks.defects import labelled_count
from posebench.datasets.coco import PoseDataset, annotation_area
from posebench.datasets.columns import number_matrix
from posebench.errors import EvaluationError


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """I images and G persons, persons ordered by image and within an image as in their file.

    `image_ids` (I,) ascending; `crowd_index` (I,), or None if images have none; `sigmas` (K,). Of
    persons: `ids` (G,) annotation ids, `image` (G,) positions in `image_ids`, `keypoints` (G, K, 2)
    in pixels, `visibility` (G, K) flags 0-2, `bbox_xywh` (G, 4), `areas` (G,) in square pixels
    under the data set's area rule, `crowd` (G,) regions that any number of detections may match,
    `ignored` (G,) crowds and persons without labels.
    """

    image_ids: NDArray[np.int64]
    crowd_index: NDArray[np.float64] | None
    sigmas: NDArray[np.float64]
    ids: NDArray[np.int64]
    image: NDArray[np.int64]
    keypoints: NDArray[np.float64]
    visibility: NDArray[np.float64]
    bbox_xywh: NDArray[np.float64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    ignored: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    def locate(self, image_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return positions of image ids.

        Raises `EvaluationError` if some are unknown, and names the first.
        """
        found = np.searchsorted(self.image_ids, image_ids)
        known = self.image_ids[np.minimum(found, len(self.image_ids) - 1)] == image_ids
        if not known.all():
            strange = np.unique(image_ids[~known])
            first = ", ".join(str(value) for value in strange[:5])
            raise EvaluationError(
                f"{len(strange)} images of the predictions are not annotated, first: {first}.",
                hint=_counted_from_elsewhere(image_ids, self.image_ids)
                or "Score predictions with the annotations they were made on.",
            )
        return found


def _counted_from_elsewhere(found: NDArray[np.int64], known: NDArray[np.int64]) -> str | None:
    """Return a word if all ids would be known were they counted from another number."""
    for one, other in ((found.min(), known.min()), (found.max(), known.max())):
        shift = int(one) - int(other)
        if np.isin(found - shift, known).all():
            return f"Each `image_id` is annotated once {abs(shift)} is {_taken(shift)} it."
    return None


def _taken(shift: int) -> str:
    return "taken from" if shift > 0 else "added to"


def ground_truth(dataset: PoseDataset) -> GroundTruth:
    """Return the persons of a data set's category, crowds and unlabelled ones included."""
    rows = dataset.persons
    image_ids = np.array(sorted(image.id for image in dataset.images), dtype=np.int64)
    owners = np.array([row["image_id"] for row in rows], dtype=np.int64)
    order = np.argsort(owners, kind="stable")
    rows = [rows[index] for index in order]
    joints = len(dataset.keypoints)
    triplets = number_matrix([row["keypoints"] for row in rows], 3 * joints)
    triplets = triplets.reshape(len(rows), joints, 3)
    crowd = np.array([bool(row.get("iscrowd", 0)) for row in rows], dtype=bool)
    if dataset.kind == "wholebody":  # whose counts are those of the body's keypoints alone
        unlabelled = ~(triplets[..., 2] > 0).any(axis=1)
    else:
        unlabelled = np.array([labelled_count(row) == 0 for row in rows], dtype=bool)
    return GroundTruth(
        image_ids=image_ids,
        crowd_index=_crowd_index(dataset, image_ids),
        sigmas=np.asarray(dataset.keypoints.sigmas, dtype=np.float64),
        ids=np.array([row["id"] for row in rows], dtype=np.int64),
        image=np.searchsorted(image_ids, owners[order]),
        keypoints=triplets[..., :2].copy(),
        visibility=triplets[..., 2].copy(),
        bbox_xywh=number_matrix([row["bbox"] for row in rows], 4),
        areas=np.array([annotation_area(row, dataset.area_rule) for row in rows], dtype=np.float64),
        crowd=crowd,
        ignored=crowd | unlabelled,
    )


def _crowd_index(dataset: PoseDataset, image_ids: NDArray[np.int64]) -> NDArray[np.float64] | None:
    rows = dataset.raw["images"]
    if dataset.kind != "crowdpose":
        return None
    values = np.zeros(len(image_ids))
    where = np.searchsorted(image_ids, np.array([row["id"] for row in rows], dtype=np.int64))
    values[where] = [row["crowdIndex"] for row in rows]
    return values
