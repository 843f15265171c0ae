"""The data of a run: find annotations, images and boxes, and fix the protocol they imply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
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
from posebench.datasets.layout import LAYOUTS, locate
from posebench.datasets.synthetic import RENDERER_VERSION, write_dataset
from posebench.errors import DataError, UsageError, nearest
from posebench.evaluation.official import import_xtcocotools
from posebench.evaluation.protocol import EVALUATORS, Evidence, ScoringOptions
from posebench.hashing import sha256_of
from posebench.identity import inputs_sha256
from posebench.keypoints import load_keypoint_set
from posebench.results import Protocol

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
    evidence: Evidence

    @cached_property
    def inputs_sha256(self) -> str:
        """What predictions rest on besides the network: the instances and their image files."""
        return inputs_sha256(self.dataset, self.instances, times=True)


def load_workload(
    request: DataRequest,
    scoring: ScoringOptions,
    progress: Callable[[int, int], None],
    evidence: Evidence | None = None,
) -> Workload:
    """Load annotations and boxes and check that every image is there.

    `progress` gets scenes done and in all while a synthetic set is rendered. Raises `DataError`
    or `UsageError`.
    """
    boxes = None if request.boxes == GROUND_TRUTH else Path(request.boxes)
    if boxes is None and request.box_filter != BoxFilter():
        raise UsageError(
            "Box filters (--min-box-score, --box-nms, --max-boxes) are for detected boxes.",
            hint="Name a file of detected boxes: --boxes FILE.json.",
        )
    dataset = load_pose_dataset(request, progress)
    check_images_exist(dataset)
    instances = _instances(dataset, boxes, request.box_filter)
    evidence = evidence or Evidence()
    if evidence.official and dataset.kind == "crowdpose":
        import_xtcocotools()  # or the run would fail only when everything is predicted
    protocol = _protocol(dataset, instances, boxes, request.box_filter, scoring)
    return Workload(dataset, instances, protocol, scoring, evidence)


def _instances(dataset: PoseDataset, boxes: Path | None, box_filter: BoxFilter) -> Instances:
    if boxes is None:
        return ground_truth_instances(dataset)
    instances = detected_instances(dataset, boxes, box_filter)
    if not len(instances):
        raise DataError(
            f"No box of {boxes} is left to evaluate: {', '.join(instances.left_out)}.",
            hint="Relax --min-box-score, or name another boxes file.",
        )
    return instances


def _protocol(
    dataset: PoseDataset,
    instances: Instances,
    boxes: Path | None,
    box_filter: BoxFilter,
    scoring: ScoringOptions,
) -> Protocol:
    """Return the protocol that all cells share; what a checkpoint decides is still `None`."""
    return Protocol(
        dataset=dataset.name,
        annotations_sha256=dataset.annotations_sha256,
        keypoints=dataset.keypoints.name,
        sigmas=dataset.keypoints.sigmas,
        area_rule=dataset.area_rule,
        boxes=boxes.stem if boxes else GROUND_TRUTH,
        boxes_sha256=sha256_of(boxes) if boxes else None,
        min_box_score=box_filter.min_score if boxes else None,
        box_nms=box_filter.nms_threshold,
        max_boxes=box_filter.max_per_image,
        boxes_left_out=instances.left_out,
        images=len(dataset.images),
        instances=len(instances),
        flip_test=None,
        decoder=None,
        crop=None,
        crop_padding=None,
        rescoring=scoring.rescoring,
        keypoint_threshold=scoring.keypoint_threshold,
        nms=scoring.nms,
        nms_threshold=scoring.nms_threshold,
        evaluator=EVALUATORS[dataset.kind],
        engine=None,
    )


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
    dataset = load_annotations(
        location.annotations,
        location.images,
        name=Path(request.dataset).resolve().stem,
        keypoints=keypoints,
    )
    return dataset if request.limit is None else limit_images(dataset, request.limit)


def synthetic_folder(level: str, split: str, progress: Callable[[int, int], None]) -> Path:
    """Return the rendered synthetic set of `level`, made on first use."""
    return cached_folder(
        f"synthetic-v{RENDERER_VERSION}-{level}-{split}",
        lambda work: write_dataset(work, split=split, level=level, progress=progress),
    )
