"""Is a data set sound? Its file, its images, its boxes, and its ground truth as predictions.

The ground truth goes through the same path that scores models: a perfect model must get AP 1.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from posebench.datasets.boxes import box_findings, detected_instances
from posebench.datasets.checks.findings import Finding, finding
from posebench.datasets.checks.readings import sample
from posebench.datasets.coco import (
    Instances,
    PoseDataset,
    datasets_of,
    ground_truth_instances,
    parse_annotations,
)
from posebench.datasets.images.files import image_findings, missing_images
from posebench.datasets.images.reading import read_image
from posebench.datasets.layout import annotation_files, images_for
from posebench.datasets.rules import LoadOptions
from posebench.errors import DataError, PosebenchError
from posebench.prediction.predictions import Predictions
from posebench.scoring.evaluate import (
    ScoringOptions,
    evaluate,
    scoring_of,
    select,
)
from posebench.scoring.matching.metrics import MatchMetric, Metrics, mean_of_categories
from posebench.scoring.metrics import scored_by
from posebench.scoring.statistics.image_table import DistanceMetric

# Decoding an image takes milliseconds: in a larger set, only evenly spread images are read.
MAX_IMAGES_READ = 200
_ASPECT_RATIO = 0.75
_PADDING = 1.25
# Evaluators give n right detections of n a precision of 1 minus a rounding error.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class CheckOptions:
    """What to check besides the annotations, and how to read them; None means to find out."""

    images: Path | None = None
    boxes: Path | None = None
    load: LoadOptions = field(default_factory=LoadOptions)


@dataclass(frozen=True)
class CheckReport:
    """What was found in one annotation file, its images and its boxes.

    `images_read` counts the image files that were decoded (the headers of all are read); `oracle`
    are the metrics of the ground truth as predictions, the mean over `categories`, or None if
    errors made scoring impossible.
    """

    annotations: Path
    images: Path | None
    findings: tuple[Finding, ...]
    keypoint_set: str | None = None
    kind: str | None = None
    categories: tuple[str, ...] = ()
    image_count: int = 0
    person_count: int = 0
    instance_count: int = 0
    images_read: int = 0
    oracle: Metrics | None = None

    @property
    def sound(self) -> bool:
        """Whether there is no error; warnings and notes do not count."""
        return all(item.level != "error" for item in self.findings)


def check_path(path: Path, options: CheckOptions | None = None) -> list[CheckReport]:
    """Check an annotation file, or every one that a folder holds in the usual layouts.

    Raises `DataError` if there is no such path or no annotation file in it.
    """
    if not path.exists():
        raise DataError(f"There is no file or folder {path}.")
    files = annotation_files(path) if path.is_dir() else [path]
    if not files:
        raise DataError(
            f"No annotation files found in {path}.",
            hint="Name the folder that holds `annotations/`, or an annotation file itself.",
        )
    return [check_dataset(file, options) for file in files]


def check_dataset(annotations: Path, options: CheckOptions | None = None) -> CheckReport:
    """Check one annotation file with its images and, if given, a file of detected boxes.

    If they are not given, images are looked for beside the annotations, and the keypoint set is
    found from the file. Everything wrong is a finding. Raises `UsageError` if the category asked
    for is not in the file.
    """
    options = options or CheckOptions()
    images = options.images or images_for(annotations)
    try:
        parsed = parse_annotations(annotations, options.load, images)
    except DataError as error:
        return CheckReport(annotations, images, (_as_finding(error),))
    report = CheckReport(
        annotations=annotations,
        images=images,
        findings=parsed.findings,
        keypoint_set=", ".join(sorted({each.name for _, each in parsed.rules.categories})),
        kind=parsed.rules.kind,
        categories=tuple(str(category) for category, _ in parsed.rules.categories),
    )
    if parsed.errors:
        return report
    datasets = datasets_of(parsed, images or annotations.parent, options.load)
    found, images_read = check_images(datasets[0], known=images is not None)
    oracle, instances, oracle_findings = check_oracle(datasets)
    found += oracle_findings
    if options.boxes is not None:
        found += [item for each in datasets for item in check_boxes(each, options.boxes)]
    return replace(
        report,
        findings=(*parsed.findings, *found),
        image_count=len(datasets[0].images),
        person_count=sum(len(dataset.persons) for dataset in datasets),
        instance_count=instances,
        images_read=images_read,
        oracle=oracle,
    )


def check_images(dataset: PoseDataset, *, known: bool = True) -> tuple[list[Finding], int]:
    """Return what is wrong with the image files, and how many of them were decoded.

    With `known` False the folder is a guess: if it holds none of the images, that is a note.
    """
    missing = set(missing_images(dataset))
    if not known and len(missing) == len(dataset.images):
        what = "No folder of images found: image files are not checked"
        return [Finding("images-unchecked", what)], 0
    found = image_findings(dataset)
    if any(item.kind == "images-unreadable" for item in found):
        return found, 0
    present = [image for image in dataset.images if image.path not in missing]
    chosen = [present[index] for index in sample(len(present), MAX_IMAGES_READ)]
    unreadable = []
    for image in chosen:
        try:
            read_image(image.path, dataset.reading.exif)
        except DataError as error:
            unreadable.append(error.message)
    found += finding("images-unreadable", "Images that cannot be read", unreadable)
    return found, len(chosen)


def check_boxes(dataset: PoseDataset, boxes: Path) -> list[Finding]:
    """Return what is wrong with a file of detected boxes for the data set."""
    try:
        return box_findings(dataset, detected_instances(dataset, boxes))
    except DataError as error:
        return [_as_finding(error)]


def check_oracle(
    datasets: Sequence[PoseDataset],
) -> tuple[Metrics | None, int, list[Finding]]:
    """Score the ground truth as predictions; return metrics, number of instances, findings."""
    scores, found, instances, lost = [], [], 0, 0
    try:
        for dataset in datasets:
            truth = ground_truth_instances(dataset)
            predictions = ground_truth_predictions(dataset, truth)
            metrics = evaluate(dataset, predictions, ScoringOptions(nms="none")).metrics
            counted = [recipe.name for recipe in scored_by(dataset.kind, dataset.distances)]
            scores.append({name: metrics.values[name] for name in counted})
            instances += len(truth)
            usual = scoring_of(dataset, ScoringOptions())
            lost += len(truth) - len(select(dataset, predictions, usual).keep)
            found += _oracle_findings(dataset, metrics, truth)
    except PosebenchError as error:
        return None, 0, [_as_finding(error)]
    what = f"OKS-NMS takes {lost} of {instances} persons for duplicates of others"
    duplicates = [Finding("oracle-duplicates", what, lost)] if lost and not found else []
    return (
        Metrics(mean_of_categories(scores), metrics.evaluator),
        instances,
        found + duplicates,
    )


def _oracle_findings(dataset: PoseDataset, metrics: Metrics, truth: Instances) -> list[Finding]:
    counted = scored_by(dataset.kind, dataset.distances)
    low = {
        recipe.name: value
        for recipe in counted
        # Areas of a part are those of the whole person, so perfect hands need not reach 1.
        if getattr(recipe, "part", None) is None
        and (value := metrics.values[recipe.name]) is not None
        and not _is_perfect(recipe, value)
    }
    if not low:
        return []
    name, value = next(iter(low.items()))
    most = int(np.bincount(truth.image_index).max())
    why = (
        f"an image has {most} persons and evaluators take 20 detections of each image"
        if most > 20
        else "the evaluator counts persons that no box leads to (see the other findings)"
    )
    what = (
        f"The ground truth of category {dataset.category} as predictions scores {name} "
        f"{value:.4f}: {why}"
    )
    return [Finding("oracle-low", what)]


def _is_perfect(recipe: MatchMetric | DistanceMetric, value: float) -> bool:
    """Tell whether a number is the best there is; the first threshold of MMPose's AUC is 0."""
    if isinstance(recipe, DistanceMetric) and recipe.measure != "share":
        return value <= _ROUNDING if recipe.measure == "mean" else value >= 0.95 - _ROUNDING
    return value >= 1 - _ROUNDING


def ground_truth_predictions(dataset: PoseDataset, truth: Instances) -> Predictions:
    """Return ground-truth instances as the predictions of a perfect model.

    Unlabelled keypoints lie at the box centre, because they are not scored but take part in
    OKS-NMS. Raises `DataError` if the instances have no keypoints.
    """
    if truth.keypoints is None:
        raise DataError("Detected boxes have no keypoints to predict.")
    corners = truth.bbox_xyxy
    centres = (corners[:, None, :2] + corners[:, None, 2:]) / 2
    labelled = truth.keypoints[..., 2:] > 0
    width, height = (corners[:, 2:] - corners[:, :2]).T * _PADDING
    width = np.maximum(width, height * _ASPECT_RATIO)
    return Predictions(
        image_ids=np.asarray([dataset.images[index].id for index in truth.image_index]),
        ids=truth.ids,
        keypoints=np.where(labelled, truth.keypoints[..., :2], centres),
        keypoint_scores=np.ones(truth.keypoints.shape[:2], dtype=np.float32),
        bbox_xyxy=corners,
        bbox_scores=truth.bbox_scores,
        areas=(width * width / _ASPECT_RATIO).astype(np.float32),
    )


def _as_finding(error: PosebenchError) -> Finding:
    return Finding("unusable", error.message.rstrip("."), hint=error.hint)
