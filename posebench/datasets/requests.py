"""Find and read what a user asks to evaluate on: annotations, images, boxes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from posebench.datasets.boxes import BoxChange, BoxFilter, detected_instances
from posebench.datasets.coco import (
    Instances,
    PoseDataset,
    ground_truth_instances,
    limit_images,
    load_dataset,
)
from posebench.datasets.images.rules import ImageReading
from posebench.datasets.keypoints import load_keypoint_set
from posebench.datasets.layout import LAYOUTS, locate
from posebench.datasets.rules import AreaRule, LoadOptions
from posebench.datasets.synthetic import renderer_name, write_dataset
from posebench.errors import DataError, UsageError, nearest
from posebench.files.cache import cached_folder

SYNTHETIC_LEVELS = {"synthetic": "standard", "synthetic-crowd": "crowd"}


GROUND_TRUTH = "gt"


@dataclass(frozen=True)
class DataRequest:
    """What to evaluate on, in the user's words.

    `dataset` is `synthetic`, `synthetic-crowd`, `coco`, `crowdpose`, a folder, or an annotation
    file with its images in the folder `images`. `boxes` is `gt` or a detections file,
    which `box_filter` thins out and `box_change` moves and scales. `keypoints`
    is a built-in set or a YAML file, found from the annotations by default. `category` is an id or
    a name, needed if several have keypoints. `area_rule` says where areas come from; None follows
    the data set's publisher. `reading` is how image files become pixels.
    """

    dataset: str = "synthetic"
    data_root: Path | None = None
    split: str = "val"
    images: Path | None = None
    keypoints: str | None = None
    boxes: str = GROUND_TRUTH
    box_filter: BoxFilter = field(default_factory=BoxFilter)
    box_change: BoxChange = field(default_factory=BoxChange)
    limit: int | None = None
    category: str | None = None
    area_rule: AreaRule | None = None
    reading: ImageReading = field(default_factory=ImageReading)


def instances_of(dataset: PoseDataset, boxes: Path | None, box_filter: BoxFilter) -> Instances:
    """Return the boxes to evaluate: ground truth, or the filtered ones of a detections file."""
    if boxes is None:
        return ground_truth_instances(dataset)
    instances = detected_instances(dataset, boxes, box_filter)
    if not len(instances):
        raise DataError(
            f"No box of {boxes} is left to evaluate: {', '.join(instances.left_out)}.",
            hint="Relax --min-box-score, or name another boxes file.",
        )
    return instances


def load_pose_dataset(request: DataRequest, progress: Callable[[int, int], None]) -> PoseDataset:
    """Find and read the annotations that `request` names."""
    keypoints = load_keypoint_set(request.keypoints) if request.keypoints else None
    place = request.dataset
    if place in SYNTHETIC_LEVELS:
        place = str(synthetic_folder(SYNTHETIC_LEVELS[place], request.split, progress))
    elif place not in LAYOUTS and not Path(place).exists():
        raise UsageError(
            f"There is no data set, folder or annotation file {place!r}.",
            hint=nearest(place, (*SYNTHETIC_LEVELS, *LAYOUTS))
            + " Or name a folder or a COCO-format .json file.",
        )
    location = locate(place, request.data_root, request.split, request.images)
    options = LoadOptions(
        name=Path(request.dataset).resolve().stem,
        keypoints=keypoints,
        area_rule=request.area_rule,
        category=request.category,
        reading=request.reading,
    )
    dataset = load_dataset(location.annotations, location.images, options)
    return dataset if request.limit is None else limit_images(dataset, request.limit)


def synthetic_folder(level: str, split: str, progress: Callable[[int, int], None]) -> Path:
    """Return the rendered synthetic set of `level`, made on first use."""
    return cached_folder(
        f"synthetic-{renderer_name()}-{level}-{split}",
        lambda work: write_dataset(work, split=split, level=level, progress=progress),
    )
