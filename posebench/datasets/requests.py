"""Find and read what a user asks to evaluate on: annotations, images, boxes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from posebench.datasets.boxes import detected_instances
from posebench.datasets.choices import (
    SYNTHETIC_LEVELS,
    AreaRule,
    BoxChange,
    BoxFilter,
    name_in_results,
)
from posebench.datasets.coco import (
    Instances,
    PoseDataset,
    ground_truth_instances,
    load_dataset,
)
from posebench.datasets.images.rules import ImageReading
from posebench.datasets.keypoints import load_keypoint_set
from posebench.datasets.known.record import KnownDataset, known_dataset, known_names
from posebench.datasets.layout import locate
from posebench.datasets.rules import LoadOptions
from posebench.datasets.synthetic import renderer_name, write_dataset
from posebench.errors import DataError, UsageError, nearest
from posebench.files.cache import cached_folder

GROUND_TRUTH = "gt"
_SELF_EVIDENT = ("coco", "crowdpose")


@dataclass(frozen=True)
class DataRequest:
    """What to evaluate on, in the user's words.

    `dataset` is `synthetic`, `synthetic-crowd`, the name of a known data set such as `coco`, a
    folder, or an annotation file with its images in the folder `images`; results call it `label`,
    by default the name of its folder or file. `record` is the known data
    set that a folder or file is read and scored as. `boxes` is `gt` or a detections file,
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
    record: str | None = None
    label: str | None = None

    @property
    def called(self) -> str:
        """What results call the data."""
        return name_in_results(self.dataset, self.label)


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


def record_of(dataset: str, record: str | None) -> KnownDataset | None:
    """Return the record that data are read and scored by, None if their file is asked.

    A file of COCO or CrowdPose tells by itself. Raises `UsageError` if there is no such record.
    """
    if record is not None:
        return known_dataset(record)
    told = dataset in known_names() and dataset not in _SELF_EVIDENT
    return known_dataset(dataset) if told else None


def load_pose_dataset(request: DataRequest, progress: Callable[[int, int], None]) -> PoseDataset:
    """Find and read the annotations that `request` names."""
    keypoints = load_keypoint_set(request.keypoints) if request.keypoints else None
    place = request.dataset
    if place in SYNTHETIC_LEVELS:
        place = str(synthetic_folder(SYNTHETIC_LEVELS[place], request.split, progress))
    elif place not in known_names() and not Path(place).exists():
        raise UsageError(
            f"There is no data set, folder or annotation file {place!r}.",
            hint=nearest(place, (*SYNTHETIC_LEVELS, *known_names()))
            + " Or name a folder or a COCO-format .json file.",
        )
    known = record_of(request.dataset, request.record)
    name = known.name if known else None
    location = locate(place, request.data_root, request.split, request.images, name)
    options = LoadOptions(
        name=request.called,
        keypoints=keypoints,
        area_rule=request.area_rule,
        category=request.category,
        reading=request.reading,
        known=known,
    )
    dataset = load_dataset(location.annotations, location.images, options)
    return dataset if request.limit is None else limit_images(dataset, request.limit)


def limit_images(dataset: PoseDataset, count: int) -> PoseDataset:
    """Return the data set with its first `count` images.

    Raises `UsageError` if `count` is below 1.
    """
    if count < 1:
        raise UsageError(f"A limit of {count} images leaves nothing to evaluate.")
    images = dataset.images[:count]
    kept = {image.id for image in images}
    raw = {
        **dataset.raw,
        "images": [row for row in dataset.raw["images"] if row["id"] in kept],
        "annotations": [row for row in dataset.raw["annotations"] if row["image_id"] in kept],
    }
    return replace(dataset, images=images, raw=raw)


def synthetic_folder(level: str, split: str, progress: Callable[[int, int], None]) -> Path:
    """Return the rendered synthetic set of `level`, made on first use."""
    return cached_folder(
        f"synthetic-{renderer_name()}-{level}-{split}",
        lambda work: write_dataset(work, split=split, level=level, progress=progress),
    )
