"""Score with the official evaluators: pycocotools, and xtcocotools for CrowdPose and whole bodies.

They get the whole files: all results, and every category that is evaluated. Their quirks (an
annotation id 0, missing counts, empty results, files re-read) are met by preparing their input,
never by changing what they compute.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from posebench.datasets.checks.defects import labelled_count
from posebench.datasets.choices import Kind
from posebench.datasets.coco import PoseDataset, annotation_area
from posebench.datasets.known.forms import joined
from posebench.errors import EvaluationError
from posebench.scoring.matching.metrics import MATCH_METRICS, Metrics
from posebench.scoring.official_crowdpose import crowdpose_evaluator, score_crowdpose
from posebench.scoring.whole_body.official import score_whole_body, whole_body_evaluator

COCO_METRICS = (
    "AP", "AP50", "AP75", "AP(M)", "AP(L)", "AR", "AR50", "AR75", "AR(M)", "AR(L)",
)  # fmt: skip
CROWDPOSE_METRICS = (
    "AP", "AP50", "AP75", "AR", "AR50", "AR75", "AP(easy)", "AP(medium)", "AP(hard)",
)  # fmt: skip
METRIC_NAMES: dict[Kind, tuple[str, ...]] = {
    "coco": COCO_METRICS,
    "crowdpose": CROWDPOSE_METRICS,
    "wholebody": tuple(metric.name for metric in MATCH_METRICS["wholebody"]),
}


def score_official(dataset: PoseDataset, results: list[dict[str, Any]]) -> Metrics:
    """Score COCO results against a data set's categories; see `score_official_categories`."""
    return score_official_categories(dataset.categories, results)


def check_official(dataset: PoseDataset) -> None:
    """Check that the official evaluator of a data set can run.

    Raises `EvaluationError` if it is not installed, or if data are scored by distances.
    """
    if dataset.kind == "distance":
        raise EvaluationError(
            f"{dataset.name} is scored by distances, of which there is no official evaluator here.",
            hint="Leave out --official.",
        )
    if dataset.kind == "crowdpose":
        crowdpose_evaluator()
    if dataset.kind == "wholebody":
        whole_body_evaluator()


def score_official_categories(
    datasets: Sequence[PoseDataset], results: list[dict[str, Any]]
) -> Metrics:
    """Score COCO results against the categories of a file with the evaluator of its kind.

    Images without results count, results of other categories do not; the arguments are not changed.
    Raises `EvaluationError` if results are of other images or have another number of keypoints, if
    the categories' keypoints differ, if the evaluator is needed and not installed, or if data are
    scored by distances.
    """
    if len({dataset.keypoints.sigmas for dataset in datasets}) > 1:
        raise EvaluationError(
            "Official evaluators score all categories with the same keypoints.",
            hint="Name one category with --category.",
        )
    first = datasets[0]
    check_official(first)
    if first.kind == "wholebody":
        results = list(map(joined, results))
    _check_results(first, results)
    stats, evaluator = _EVALUATORS[first.kind](first, _ground_truth(datasets), results)
    names = METRIC_NAMES[first.kind]
    values = {
        name: None if value < 0 else float(value) for name, value in zip(names, stats, strict=True)
    }
    return Metrics(values, evaluator)


def _check_results(dataset: PoseDataset, results: list[dict[str, Any]]) -> None:
    known = {image.id for image in dataset.images}
    strange = sorted({row["image_id"] for row in results} - known)
    if strange:
        raise EvaluationError(
            f"{len(strange)} images of the results are not in {dataset.annotations}, first "
            f"{strange[0]}.",
            hint="Score results with the annotations they were made on.",
        )
    length = 3 * len(dataset.keypoints)
    for row in results:
        if len(row["keypoints"]) != length:
            raise EvaluationError(
                f"A result in image {row['image_id']} has {len(row['keypoints']) // 3} keypoints; "
                f"{dataset.name} has {len(dataset.keypoints)}."
            )


def _ground_truth(datasets: Sequence[PoseDataset]) -> dict[str, Any]:
    """Copy what evaluators read, with ids from 1 (pycocotools takes id 0 for unmatched)."""
    owned = [
        (row, dataset.category.id, dataset.area_rule)
        for dataset in datasets
        for row in dataset.persons
    ]
    rows = [
        {
            "id": number,
            "image_id": row["image_id"],
            "category_id": category,
            "bbox": row["bbox"],
            "area": annotation_area(row, rule),
            "iscrowd": row.get("iscrowd", 0),
            "keypoints": row["keypoints"],
            "num_keypoints": labelled_count(row),
        }
        for number, (row, category, rule) in enumerate(owned, start=1)
    ]
    return {
        "images": [{"id": image.id} for image in datasets[0].images],
        "annotations": rows,
        "categories": [{"id": d.category.id, "name": d.category.name} for d in datasets],
    }


def _score_coco(
    dataset: PoseDataset, truth: dict[str, Any], results: list[dict[str, Any]]
) -> tuple[Any, str]:
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        evaluation = COCOeval(*indexed(truth, results), "keypoints")
        evaluation.params.kpt_oks_sigmas = np.asarray(dataset.keypoints.sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats, f"pycocotools {importlib.metadata.version('pycocotools')}"


def indexed(truth: dict[str, Any], results: list[dict[str, Any]]) -> tuple[Any, Any]:
    """Return the ground truth and the results as pycocotools' `COCO` objects."""
    from pycocotools.coco import COCO

    annotated = COCO()
    annotated.dataset = truth
    annotated.createIndex()
    if results:
        return annotated, annotated.loadRes([dict(row) for row in results])
    nothing = COCO()  # `loadRes` looks at the first result
    nothing.dataset = {**truth, "annotations": []}
    nothing.createIndex()
    return annotated, nothing


def _score_whole_body(
    dataset: PoseDataset, truth: dict[str, Any], results: list[dict[str, Any]]
) -> tuple[Any, str]:
    return score_whole_body(dataset, truth, results, indexed)


def _score_crowdpose(
    dataset: PoseDataset, truth: dict[str, Any], results: list[dict[str, Any]]
) -> tuple[Any, str]:
    return score_crowdpose(dataset, truth, results, indexed)


_EVALUATORS: dict[
    Kind, Callable[[PoseDataset, dict[str, Any], list[dict[str, Any]]], tuple[Any, str]]
] = {
    "coco": _score_coco,
    "crowdpose": _score_crowdpose,
    "wholebody": _score_whole_body,
}
