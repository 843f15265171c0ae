"""Score with the official evaluators: pycocotools for COCO, xtcocotools for CrowdPose.

Their quirks (an annotation id 0, missing counts, empty results, files re-read) are met by
what is handed to them, never by changing what they compute.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import io
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from posebench.datasets.coco import Kind, PoseDataset, annotation_area
from posebench.datasets.defects import PERSON, labelled_count
from posebench.errors import EvaluationError
from posebench.scoring.matching.metrics import Metrics

COCO_METRICS = (
    "AP", "AP50", "AP75", "AP(M)", "AP(L)", "AR", "AR50", "AR75", "AR(M)", "AR(L)",
)  # fmt: skip
CROWDPOSE_METRICS = (
    "AP", "AP50", "AP75", "AR", "AR50", "AR75", "AP(easy)", "AP(medium)", "AP(hard)",
)  # fmt: skip
METRIC_NAMES: dict[Kind, tuple[str, ...]] = {
    "coco": COCO_METRICS,
    "crowdpose": CROWDPOSE_METRICS,
}


def score_official(dataset: PoseDataset, results: list[dict[str, Any]]) -> Metrics:
    """Score COCO results against the data set with the evaluator of its kind.

    Images of the data set without results count; neither argument is changed. Raises
    `EvaluationError` for results of other images or another number of keypoints, and where
    xtcocotools is needed and cannot be had.
    """
    _check_results(dataset, results)
    stats, evaluator = _EVALUATORS[dataset.kind](dataset, results)
    names = METRIC_NAMES[dataset.kind]
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


def _ground_truth(dataset: PoseDataset) -> dict[str, Any]:
    """Copy what evaluators read, with ids from 1 (pycocotools takes id 0 for unmatched)."""
    rows = [
        {
            "id": number,
            "image_id": row["image_id"],
            "category_id": PERSON,
            "bbox": row["bbox"],
            "area": annotation_area(row, dataset.area_rule),
            "iscrowd": row.get("iscrowd", 0),
            "keypoints": row["keypoints"],
            "num_keypoints": labelled_count(row),
        }
        for number, row in enumerate(dataset.persons, start=1)
    ]
    return {
        "images": [{"id": image.id} for image in dataset.images],
        "annotations": rows,
        "categories": [{"id": PERSON, "name": "person"}],
    }


def _indexed(dataset: PoseDataset, results: list[dict[str, Any]]) -> tuple[Any, Any]:
    """Return the ground truth and the results as pycocotools' `COCO` objects."""
    from pycocotools.coco import COCO

    truth = COCO()
    truth.dataset = _ground_truth(dataset)
    truth.createIndex()
    if results:
        return truth, truth.loadRes([dict(row) for row in results])
    nothing = COCO()  # `loadRes` looks at the first result
    nothing.dataset = {**truth.dataset, "annotations": []}
    nothing.createIndex()
    return truth, nothing


def _score_coco(dataset: PoseDataset, results: list[dict[str, Any]]) -> tuple[Any, str]:
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(*_indexed(dataset, results), "keypoints")
        evaluation.params.kpt_oks_sigmas = np.asarray(dataset.keypoints.sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats, f"pycocotools {importlib.metadata.version('pycocotools')}"


def _score_crowdpose(dataset: PoseDataset, results: list[dict[str, Any]]) -> tuple[Any, str]:
    evaluator = import_xtcocotools().COCOeval
    strata = {
        "images": [
            {"id": row["id"], "crowdIndex": row["crowdIndex"]} for row in dataset.raw["images"]
        ]
    }
    with (
        contextlib.redirect_stdout(io.StringIO()),
        tempfile.TemporaryDirectory() as folder,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves that file open
        truth, detected = _indexed(dataset, results)
        # Its summary reads each image's crowdIndex from a file whose name is here.
        file = Path(folder) / "images.json"
        file.write_text(json.dumps(strata), encoding="utf-8")
        truth.anno_file = [str(file), None]
        evaluation = evaluator(
            truth,
            detected,
            "keypoints_crowd",
            np.asarray(dataset.keypoints.sigmas),
            use_area=dataset.area_rule == "annotation",
        )
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats, f"xtcocotools {importlib.metadata.version('xtcocotools')}"


def import_xtcocotools() -> ModuleType:
    """Import `xtcocotools.cocoeval` on any numpy; raise `EvaluationError` if it is missing.

    Its compiled mask module was built for numpy 1 and is never used for keypoints, so
    pycocotools' takes its place.
    """
    import pycocotools.mask

    sys.modules.setdefault("xtcocotools.mask", pycocotools.mask)
    try:
        return importlib.import_module("xtcocotools.cocoeval")
    except ImportError:
        raise EvaluationError(
            "Scoring by CrowdPose's rules needs xtcocotools, which is not installed.",
            hint="It has wheels up to Python 3.11: use posebench under Python 3.10 or 3.11 and "
            "`pip install xtcocotools`.",
        ) from None


_EVALUATORS: dict[Kind, Callable[[PoseDataset, list[dict[str, Any]]], tuple[Any, str]]] = {
    "coco": _score_coco,
    "crowdpose": _score_crowdpose,
}
