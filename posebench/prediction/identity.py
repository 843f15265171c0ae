"""What predictions rest on, as hashes: stored files are named by them, and so are never stale."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.coco import Instances, PoseDataset
from posebench.datasets.images import ImageReading


def instance_arrays(dataset: PoseDataset, instances: Instances) -> dict[str, NDArray[Any]]:
    """Return what tells N instances apart, each (N, ...): image ids, ids, boxes, box scores."""
    image_ids = np.array([image.id for image in dataset.images], dtype=np.int64)
    return {
        "image_ids": image_ids[instances.image_index],
        "ids": instances.ids,
        "bbox_xyxy": instances.bbox_xyxy,
        "bbox_scores": instances.bbox_scores,
    }


def inputs_sha256(dataset: PoseDataset, instances: Instances, *, times: bool) -> str:
    """Return the SHA-256 of the instances and their image files, by name and size in bytes.

    With `times`, a file that was written again is another one.
    """
    digest = hashlib.sha256()
    for index in np.unique(instances.image_index):
        path = dataset.images[int(index)].path
        facts = path.stat() if path.exists() else None
        digest.update(f"{path.name} {facts and facts.st_size}\n".encode())
        if times:
            digest.update(f"{facts and facts.st_mtime_ns}\n".encode())
    if dataset.reading != ImageReading():
        digest.update(f"{dataset.reading}\n".encode())
    for values in instance_arrays(dataset, instances).values():
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
