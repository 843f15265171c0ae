"""Hashes of all that predictions rest on: they name stored files, so that none is ever stale."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.coco import Instances, PoseDataset
from posebench.datasets.corruptions.names import BY_BOXES, parse_corruption
from posebench.datasets.images.hashes import images_sha256
from posebench.datasets.images.rules import ImageReading


def instance_arrays(dataset: PoseDataset, instances: Instances) -> dict[str, NDArray[Any]]:
    """Return arrays (N, ...) that tell N instances apart: image ids, ids, boxes, box scores."""
    image_ids = np.array([image.id for image in dataset.images], dtype=np.int64)
    return {
        "image_ids": image_ids[instances.image_index],
        "ids": instances.ids,
        "bbox_xyxy": instances.bbox_xyxy,
        "bbox_scores": instances.bbox_scores,
    }


def inputs_sha256(dataset: PoseDataset, instances: Instances) -> str:
    """Return the SHA-256 of the instances and of their images' content, whatever their paths.

    A corruption that is painted by the boxes of an image's persons adds these boxes.
    """
    used = np.unique(instances.image_index)
    images = images_sha256([dataset.images[int(index)].path for index in used])
    digest = hashlib.sha256(images.encode())
    if dataset.reading != ImageReading():
        digest.update(f"{dataset.reading}\n".encode())
    corruption = parse_corruption(dataset.reading.corruption)
    if corruption is not None and corruption.kind in BY_BOXES:
        for index in used:
            boxes = dataset.boxes_of(dataset.images[int(index)].id)
            digest.update(f"{len(boxes)} boxes\n".encode() + boxes.tobytes())
    for values in instance_arrays(dataset, instances).values():
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
