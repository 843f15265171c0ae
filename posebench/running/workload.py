"""The data of a run: find annotations, images and boxes, and fix the protocol they imply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from posebench.datasets.boxes import changed_boxes
from posebench.datasets.checks.findings import Finding
from posebench.datasets.checks.survey import data_findings, raise_errors
from posebench.datasets.choices import SYNTHETIC_LEVELS, BoxFilter
from posebench.datasets.coco import Instances, PoseDataset
from posebench.datasets.images.hashes import images_sha256
from posebench.datasets.images.rules import ImageReading
from posebench.datasets.images.staging import staged_paths
from posebench.datasets.keypoints import load_keypoint_set
from posebench.datasets.known.record import known_dataset, known_names
from posebench.datasets.layout import locate
from posebench.datasets.requests import (
    GROUND_TRUTH,
    DataRequest,
    instances_of,
    load_pose_dataset,
    record_of,
)
from posebench.errors import DataError, UsageError
from posebench.files.hashing import sha256_of
from posebench.prediction.execution import Progress
from posebench.prediction.kept.identity import inputs_sha256
from posebench.results.cell import CellFinding, Protocol
from posebench.scoring.evaluate import EVALUATORS, ScoreChecks, ScoringOptions, scoring_of
from posebench.scoring.official import check_official
from posebench.scoring.statistics.estimates import Resampling
from posebench.suites.suite import DatasetEntry, Suite

_COCO, _CROWDPOSE = "coco", "crowdpose"


@dataclass(frozen=True)
class Workload:
    """The data and the protocol that every cell of a run shares, and what is odd in the data."""

    dataset: PoseDataset
    instances: Instances
    protocol: Protocol
    scoring: ScoringOptions
    checks: ScoreChecks
    findings: tuple[Finding, ...] = ()

    @cached_property
    def cell_findings(self) -> tuple[CellFinding, ...]:
        """The findings as results keep them."""
        return tuple(
            CellFinding("data", each.level, each.kind, str(each), each.count, each.hint)
            for each in self.findings
        )

    @cached_property
    def inputs_sha256(self) -> str:
        """What predictions rest on besides the network: the instances and their image files."""
        return inputs_sha256(self.dataset, self.instances)


def load_workload(
    request: DataRequest,
    scoring: ScoringOptions,
    progress: Callable[[int, int], None],
    checks: ScoreChecks | None = None,
    stage: Path | None = None,
) -> Workload:
    """Load annotations and boxes and check that every image is there, in the annotated size.

    `progress` gets scenes done and in all while a synthetic set is rendered, or images while they
    are copied to the folder `stage`, from which they are read then. Raises `DataError` if
    data cannot be used, and `UsageError` if options do not suit them.
    """
    boxes = None if request.boxes == GROUND_TRUTH else Path(request.boxes)
    if boxes is None and request.box_filter != BoxFilter():
        raise UsageError(
            "Filters of boxes (least score, NMS, most of an image) are for detected boxes.",
            hint="Name a file of detected boxes in place of gt.",
        )
    dataset = load_pose_dataset(request, progress)
    if stage is not None:
        dataset = _staged(dataset, stage, progress)
    instances = instances_of(dataset, boxes, request.box_filter)
    findings = data_findings(dataset, instances)
    raise_errors(findings, dataset.annotations)
    checks = checks or ScoreChecks()
    if checks.official:
        check_official(dataset)  # otherwise the run would fail only when everything is predicted
    scoring = scoring_of(dataset, scoring)
    # Findings are on the boxes as they were.
    moved = changed_boxes(instances.bbox_xyxy, request.box_change)
    instances = replace(instances, bbox_xyxy=moved)
    protocol = _protocol(dataset, instances, request, scoring)
    return Workload(dataset, instances, protocol, scoring, checks, findings)


def _staged(dataset: PoseDataset, stage: Path, progress: Callable[[int, int], None]) -> PoseDataset:
    """Return a data set whose images are copies in a folder."""
    paths = staged_paths([image.path for image in dataset.images], stage, progress)
    images = (replace(image, path=path) for image, path in zip(dataset.images, paths, strict=True))
    return replace(dataset, images=tuple(images))


def _protocol(
    dataset: PoseDataset,
    instances: Instances,
    request: DataRequest,
    scoring: ScoringOptions,
) -> Protocol:
    """Return the protocol that all cells share; what a checkpoint decides is still `None`."""
    boxes = None if request.boxes == GROUND_TRUTH else Path(request.boxes)
    box_filter, change = request.box_filter, request.box_change
    return Protocol(
        dataset=dataset.name,
        annotations_sha256=dataset.annotations_sha256,
        keypoints=dataset.keypoints.name,
        sigmas=dataset.keypoints.sigmas,
        area_rule=dataset.area_rule,
        boxes=_boxes_label(request),
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
        images_sha256=images_sha256([image.path for image in dataset.images]),
        category=dataset.category.id,
        exif=dataset.reading.exif,
        allow_resized=dataset.reading.allow_resized,
        box_shift=change.shift,
        box_scale=change.scale,
        record=None if dataset.known is None else dataset.known.name,
        corruption=dataset.reading.corruption,
    )


def _boxes_label(request: DataRequest) -> str:
    """Return what results call their boxes, such as `gt` or `gt shift 0.25 0.25`."""
    is_file = request.boxes != GROUND_TRUTH
    name = Path(request.boxes).stem if is_file else GROUND_TRUTH
    return f"{name} {request.box_change}".rstrip()


def datasets_of_workloads(suite: Suite) -> list[DatasetEntry]:
    """Return the data set of each of a suite's workloads: one for all boxes and corruptions."""
    return [each for each in suite.dataset_entries for _ in suite.boxes for _ in suite.corruptions]


def suite_workloads(
    suite: Suite,
    folder: Path,
    limit: int | None,
    progress: Progress,
    stage: Path | None = None,
) -> list[Workload]:
    """Load the data sets of a suite with each of the boxes and corruptions.

    Images are copied to `stage` first. Raises `DataError` and `UsageError` as `load_workload` does.
    """
    return [
        load_workload(
            request,
            scoring_options(suite),
            lambda done, total: progress("rendering" if stage is None else "staging", done, total),
            ScoreChecks(resampling(suite), suite.scoring.official),
            stage,
        )
        for request in data_requests(suite, folder, limit)
    ]


def scoring_options(suite: Suite) -> ScoringOptions:
    """Return how a suite scores."""
    scoring = suite.scoring
    return ScoringOptions(
        rescoring=scoring.rescoring,
        keypoint_threshold=scoring.keypoint_threshold,
        nms=scoring.nms,
        nms_threshold=scoring.nms_threshold,
    )


def resampling(suite: Suite) -> Resampling | None:
    """Return how a suite makes intervals, None for not at all."""
    scoring = suite.scoring
    if not scoring.replicates:
        return None
    return Resampling(scoring.replicates, scoring.seed, scoring.interval)


def data_requests(suite: Suite, folder: Path, limit: int | None) -> list[DataRequest]:
    """Return the data sets with each of the boxes, and these with each of the corruptions.

    `folder` is what paths are relative to.
    """
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
                    keypoints=None if entry.keypoints is None else _place(entry.keypoints, folder),
                    boxes=boxes.file if boxes.file == GROUND_TRUTH else str(folder / boxes.file),
                    box_filter=BoxFilter(boxes.min_score, boxes.nms_threshold, boxes.max_per_image),
                    box_change=boxes.change,
                    limit=min(limits, default=None),
                    category=None if entry.category is None else str(entry.category),
                    area_rule=entry.area_rule,
                    reading=ImageReading(entry.exif, entry.allow_resized),
                    record=entry.record,
                    label=entry.label,
                )
            )
    return [
        replace(request, reading=replace(request.reading, corruption=corruption))
        for request in requests
        for corruption in suite.corruptions
    ]


def _place(name: str, folder: Path) -> str:
    """Return a name as it is, or its path if a file or folder of that name is there."""
    own = folder / name
    return str(own) if name not in SYNTHETIC_LEVELS and own.exists() else name


def workloads_without_data(suite: Suite, folder: Path) -> list[Workload]:
    """Return what is known of a suite's data without images, boxes and, if need be, annotations.

    Raises `PosebenchError` for annotations that cannot be used, and for words that mean none.
    """
    scoring = scoring_options(suite)
    return [_planned_workload(each, scoring) for each in data_requests(suite, folder, None)]


def _planned_workload(request: DataRequest, scoring: ScoringOptions) -> Workload:
    """Return data without images and instances, whose protocol is complete but for their hashes."""
    dataset = replace(_planned_dataset(request), images=())
    scoring = scoring_of(dataset, scoring)
    whole, fractions = np.zeros(0, np.int64), np.zeros(0, np.float32)
    instances = Instances(whole, whole, np.zeros((0, 4), np.float32), fractions)
    without_file = replace(request, boxes=GROUND_TRUTH, box_filter=BoxFilter())
    protocol = _protocol(dataset, instances, without_file, scoring)
    protocol = replace(protocol, boxes=_boxes_label(request))
    return Workload(dataset, instances, protocol, scoring, ScoreChecks())


def _is_here(request: DataRequest) -> bool:
    """Tell whether annotations can be read; a word that is no data set counts, to be refused."""
    name = request.dataset
    if name not in known_names() and not Path(name).exists():
        return Path(name).name == name and not name.endswith(".json")
    try:
        locate(name, request.data_root, request.split, request.images, request.record)
    except (DataError, UsageError):
        return False
    return True


def _planned_dataset(request: DataRequest) -> PoseDataset:
    """Return the annotated data set, or what is known of it by its name."""
    if request.dataset not in SYNTHETIC_LEVELS and _is_here(request):
        return load_pose_dataset(request, lambda _done, _total: None)
    known = record_of(request.dataset, request.record)
    told = known or known_dataset(_CROWDPOSE if request.dataset == _CROWDPOSE else _COCO)
    return PoseDataset(
        name=request.called,
        kind=told.kind,
        annotations=Path(request.dataset),
        annotations_sha256=f"that of {request.dataset}",
        images=(),
        keypoints=load_keypoint_set(request.keypoints or told.keypoints),
        area_rule=request.area_rule or told.area_rule,
        raw={"images": [], "annotations": [], "categories": []},
        reading=request.reading,
        known=known,
    )
