"""Is a data set sound? Its file, its images, its boxes, and its ground truth as predictions.

The last goes through the very path that scores models: a perfect model must get AP 1.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posebench.datasets.boxes import detected_instances
from posebench.datasets.coco import (
    Instances,
    PoseDataset,
    check_structure,
    ground_truth_instances,
    guess_keypoints,
    guess_kind,
    load_annotations,
)
from posebench.datasets.defects import find_defects
from posebench.datasets.findings import Finding, finding
from posebench.datasets.images import missing_images, read_image
from posebench.datasets.keypoints import KeypointSet
from posebench.datasets.layout import annotation_files, images_for
from posebench.errors import DataError, PosebenchError
from posebench.files.json_file import read_json
from posebench.prediction.predictions import Predictions
from posebench.scoring.evaluate import ScoringOptions, evaluate, select_results
from posebench.scoring.matching.metrics import MATCH_METRICS, Metrics

# Decoding takes milliseconds: of a larger set, evenly spread images are read.
MAX_IMAGES_READ = 200
_ASPECT_RATIO = 0.75
_PADDING = 1.25


@dataclass(frozen=True)
class CheckReport:
    """What was found in one annotation file, its images and its boxes.

    `images_read` counts the image files that were decoded; `oracle` are the metrics of the
    ground truth as predictions, None where errors made scoring impossible.
    """

    annotations: Path
    images: Path | None
    findings: tuple[Finding, ...]
    keypoint_set: str | None = None
    kind: str | None = None
    image_count: int = 0
    person_count: int = 0
    instance_count: int = 0
    images_read: int = 0
    oracle: Metrics | None = None

    @property
    def sound(self) -> bool:
        """Whether there is no error; warnings and notes do not count."""
        return all(item.level != "error" for item in self.findings)


def check_path(
    path: Path,
    images: Path | None = None,
    boxes: Path | None = None,
    keypoints: KeypointSet | None = None,
) -> list[CheckReport]:
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
    return [check_dataset(file, images, boxes, keypoints) for file in files]


def check_dataset(
    annotations: Path,
    images: Path | None = None,
    boxes: Path | None = None,
    keypoints: KeypointSet | None = None,
) -> CheckReport:
    """Check one annotation file with its images and, if given, a file of detected boxes.

    Left out, `images` is looked for beside the annotations and `keypoints` is found from the
    file. Everything wrong is a finding; nothing is raised.
    """
    images = images or images_for(annotations)
    try:
        raw, _ = read_json(annotations, "annotation file")
        check_structure(annotations, raw)
        chosen = keypoints or guess_keypoints(annotations, raw)
    except DataError as error:
        return CheckReport(annotations, images, (_as_finding(error),))
    kind = guess_kind(raw, chosen)
    found = find_defects(raw, chosen, needs_area=kind == "coco", kind=kind)
    if any(item.level == "error" for item in found):
        return CheckReport(annotations, images, tuple(found), chosen.name, kind)
    dataset = load_annotations(
        annotations, images or annotations.parent, keypoints=chosen, kind=kind
    )
    image_findings, images_read = check_images(dataset, known=images is not None)
    found += image_findings
    oracle, instances, oracle_findings = check_oracle(dataset)
    found += oracle_findings
    if boxes is not None:
        found += check_boxes(dataset, boxes)
    return CheckReport(
        annotations=annotations,
        images=images,
        findings=tuple(found),
        keypoint_set=chosen.name,
        kind=kind,
        image_count=len(dataset.images),
        person_count=len(dataset.persons),
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
        return [Finding("note", "No folder of images found: image files are not checked")], 0
    found = finding("error", "Missing image files", sorted(missing))
    present = [image for image in dataset.images if image.path not in missing]
    chosen = np.linspace(0, len(present) - 1, min(len(present), MAX_IMAGES_READ)).astype(int)
    unreadable, swapped, different = [], [], []
    for image in (present[index] for index in chosen):
        try:
            height, width = read_image(image.path).shape[:2]
        except DataError as error:
            unreadable.append(error.message)
            continue
        sizes = f"{image.path.name} (file {width} wide, {height} high)"
        if (width, height) == (image.height, image.width) and width != height:
            swapped.append(sizes)
        elif (width, height) != (image.width, image.height):
            different.append(sizes)
    found += finding("error", "Images that cannot be read", unreadable)
    found += finding("error", "Images whose width and height are swapped", swapped)
    found += finding("error", "Images whose size is not the annotated one", different)
    return found, len(chosen)


def check_boxes(dataset: PoseDataset, boxes: Path) -> list[Finding]:
    """Return what is wrong with a file of detected boxes for the data set."""
    try:
        detected = detected_instances(dataset, boxes)
        truth = ground_truth_instances(dataset)
    except DataError as error:
        return [_as_finding(error)]
    found = [Finding("note", f"{boxes.name}: {reason} left out") for reason in detected.left_out]
    empty = sorted(set(truth.image_index.tolist()) - set(detected.image_index.tolist()))
    return found + finding(
        "warning",
        f"Images with persons but without a box in {boxes.name}",
        (f"image {dataset.images[index].id}" for index in empty),
    )


def check_oracle(dataset: PoseDataset) -> tuple[Metrics | None, int, list[Finding]]:
    """Score the ground truth as predictions; return metrics, number of instances, findings."""
    try:
        truth = ground_truth_instances(dataset)
        predictions = ground_truth_predictions(dataset, truth)
        metrics = evaluate(dataset, predictions, ScoringOptions(nms="none")).metrics
        lost = len(truth) - len(select_results(dataset, predictions, ScoringOptions()))
    except PosebenchError as error:
        return None, 0, [_as_finding(error)]
    counted = {recipe.name: metrics.values[recipe.name] for recipe in MATCH_METRICS[dataset.kind]}
    low = {name: value for name, value in counted.items() if value not in (None, 1.0)}
    if low:
        name, value = next(iter(low.items()))
        most = int(np.bincount(truth.image_index).max())
        why = (
            f"an image has {most} persons and evaluators take 20 detections of each image"
            if most > 20
            else "the evaluator counts persons that no box leads to (see the other findings)"
        )
        return (
            metrics,
            len(truth),
            [Finding("error", f"The ground truth as predictions scores {name} {value:.4f}: {why}")],
        )
    what = f"OKS-NMS takes {lost} of {len(truth)} persons for duplicates of others"
    return metrics, len(truth), [Finding("note", what, lost)] if lost else []


def ground_truth_predictions(dataset: PoseDataset, truth: Instances) -> Predictions:
    """Return ground-truth instances as the predictions of a perfect model.

    Unlabelled keypoints lie at the box centre, for what is there is not scored but takes part
    in OKS-NMS. Raises `DataError` for instances without keypoints.
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
    return Finding("error", error.message.rstrip("."), hint=error.hint)
