"""The data of a run: find annotations, images and boxes, and fix the protocol they imply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from posebench.cache import cached_folder
from posebench.datasets.boxes import BoxFilter, detected_instances
from posebench.datasets.coco import (
    Instances,
    PoseDataset,
    ground_truth_instances,
    limit_images,
    load_annotations,
)
from posebench.datasets.images import check_images_exist
from posebench.datasets.layout import locate
from posebench.datasets.synthetic import RENDERER_VERSION, write_dataset
from posebench.evaluation.protocol import ScoringOptions
from posebench.hashing import sha256_of
from posebench.keypoints import load_keypoint_set
from posebench.results import Protocol, package_version

SYNTHETIC_LEVELS = {"synthetic": "standard", "synthetic-crowd": "crowd"}
GROUND_TRUTH = "gt"


@dataclass(frozen=True)
class DataRequest:
    """What to evaluate on, as a user asks for it.

    `dataset` is `synthetic`, `synthetic-crowd`, `coco`, `crowdpose`, a folder, or an annotation
    file, whose images are then in `images`. `boxes` is `gt` or a detections file. `keypoints`
    is a built-in set or a YAML file, found from the annotations by default.
    """

    dataset: str = "synthetic"
    data_root: Path | None = None
    split: str = "val"
    images: Path | None = None
    keypoints: str | None = None
    boxes: str = GROUND_TRUTH
    box_filter: BoxFilter = field(default_factory=BoxFilter)
    limit: int | None = None


@dataclass(frozen=True)
class Workload:
    """The data and the protocol that every cell of a run shares."""

    dataset: PoseDataset
    instances: Instances
    protocol: Protocol
    scoring: ScoringOptions


def load_workload(
    request: DataRequest, scoring: ScoringOptions, progress: Callable[[int, int], None]
) -> Workload:
    """Load annotations and boxes and check that every image is there.

    `progress` gets scenes done and in all while a synthetic set is rendered. Raises `DataError`
    or `UsageError`.
    """
    dataset = load_pose_dataset(request, progress)
    check_images_exist(dataset)
    detected = request.boxes != GROUND_TRUTH
    if detected:
        instances = detected_instances(dataset, Path(request.boxes), request.box_filter)
    else:
        instances = ground_truth_instances(dataset)
    crowd = dataset.kind == "crowdpose"
    package = "xtcocotools" if crowd else "pycocotools"
    protocol = Protocol(
        dataset=dataset.name,
        annotations_sha256=dataset.annotations_sha256,
        boxes=Path(request.boxes).stem if detected else GROUND_TRUTH,
        boxes_sha256=sha256_of(Path(request.boxes)) if detected else None,
        min_box_score=request.box_filter.min_score if detected else 0.0,
        images=len(dataset.images),
        instances=len(instances.ids),
        flip_test=None,
        decoder=None,
        crop=None,
        rescoring=scoring.rescoring,
        keypoint_threshold=scoring.keypoint_threshold,
        nms=scoring.nms,
        nms_threshold=scoring.nms_threshold,
        evaluator=f"{package} {package_version(package)}",
    )
    return Workload(dataset, instances, protocol, scoring)


def load_pose_dataset(request: DataRequest, progress: Callable[[int, int], None]) -> PoseDataset:
    """Find and read the annotations that `request` names."""
    keypoints = load_keypoint_set(request.keypoints) if request.keypoints else None
    place = request.dataset
    if place in SYNTHETIC_LEVELS:
        place = str(synthetic_folder(SYNTHETIC_LEVELS[place], request.split, progress))
    location = locate(place, request.data_root, request.split, request.images)
    dataset = load_annotations(
        location.annotations,
        location.images,
        name=Path(request.dataset).stem,
        keypoints=keypoints,
    )
    return dataset if request.limit is None else limit_images(dataset, request.limit)


def synthetic_folder(level: str, split: str, progress: Callable[[int, int], None]) -> Path:
    """Return the rendered synthetic set of `level`, made on first use."""
    return cached_folder(
        f"synthetic-v{RENDERER_VERSION}-{level}-{split}",
        lambda work: write_dataset(work, split=split, level=level, progress=progress),
    )
