"""The data that a suite asks for, as requests that can be loaded. Never loads torch."""

from __future__ import annotations

from pathlib import Path

from posebench.datasets.boxes import BoxFilter
from posebench.suite import Suite
from posebench.workload import GROUND_TRUTH, SYNTHETIC_LEVELS, DataRequest


def data_requests(suite: Suite, folder: Path, limit: int | None) -> list[DataRequest]:
    """Return the data sets with each of the boxes; `folder` is what paths are relative to."""
    requests = []
    for entry in suite.dataset_entries:
        limits = [number for number in (entry.limit, limit) if number is not None]
        for boxes in suite.boxes_entries:
            requests.append(
                DataRequest(
                    dataset=_place(entry.name, folder),
                    data_root=None if entry.root is None else folder / entry.root,
                    split=entry.split,
                    images=None if entry.images is None else folder / entry.images,
                    keypoints=entry.keypoints,
                    boxes=boxes.file if boxes.file == GROUND_TRUTH else str(folder / boxes.file),
                    box_filter=BoxFilter(boxes.min_score, boxes.nms_threshold, boxes.max_per_image),
                    limit=min(limits, default=None),
                )
            )
    return requests


def _place(name: str, folder: Path) -> str:
    """Return a data set's name, or its place where it is a path that is there."""
    own = folder / name
    return str(own) if name not in SYNTHETIC_LEVELS and own.exists() else name
