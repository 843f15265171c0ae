"""CrowdPose's evaluator: xtcocotools (Python up to 3.11), else its equal, faster-coco-eval."""

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

from posebench.datasets.coco import PoseDataset
from posebench.errors import EvaluationError

Rows = list[dict[str, Any]]
Indexed = Callable[[dict[str, Any], Rows], tuple[Any, Any]]


def score_crowdpose(
    dataset: PoseDataset, truth: dict[str, Any], results: Rows, indexed: Indexed
) -> tuple[Any, str]:
    """Return CrowdPose's nine numbers and the package that computed them.

    `truth` is the ground truth in COCO's format, areas filled in; `indexed` makes pycocotools'
    objects. Raises `EvaluationError` if neither package is installed.
    """
    module = crowdpose_evaluator()
    strata = [{"id": row["id"], "crowdIndex": row["crowdIndex"]} for row in dataset.raw["images"]]
    with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        if module.__name__.startswith("xtcocotools"):
            stats = _by_xtcocotools(module, dataset, indexed(truth, results), strata)
        else:
            stats = _by_faster_coco_eval(module, dataset, {**truth, "images": strata}, results)
    package = module.__name__.partition(".")[0].replace("_", "-")
    return stats, f"{package} {importlib.metadata.version(package)}"


def crowdpose_evaluator() -> ModuleType:
    """Import the package that scores by CrowdPose's rules.

    Raises `EvaluationError` if there is none.
    """
    with contextlib.suppress(ImportError):
        return import_xtcocotools()
    try:
        return importlib.import_module("faster_coco_eval")
    except ImportError:
        raise EvaluationError(
            "Scoring by CrowdPose's rules needs faster-coco-eval or xtcocotools, and neither is "
            "installed.",
            hint="pip install 'posebench-pose[official]' (xtcocotools has wheels up to Python "
            "3.11).",
        ) from None


def import_xtcocotools() -> ModuleType:
    """Import `xtcocotools.cocoeval` on any numpy.

    Its compiled mask module was built for numpy 1 and is never used for keypoints, so pycocotools'
    takes its place. Raises `ImportError` if it is missing.
    """
    import pycocotools.mask

    sys.modules.setdefault("xtcocotools.mask", pycocotools.mask)
    return importlib.import_module("xtcocotools.cocoeval")


def _by_xtcocotools(
    module: ModuleType, dataset: PoseDataset, objects: tuple[Any, Any], strata: Rows
) -> Any:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves that file open
        truth, detected = objects
        # Its summary reads each image's crowdIndex from a file whose name is here.
        file = Path(folder) / "images.json"
        file.write_text(json.dumps({"images": strata}), encoding="utf-8")
        truth.anno_file = [str(file), None]
        evaluation = module.COCOeval(
            truth,
            detected,
            "keypoints_crowd",
            np.asarray(dataset.keypoints.sigmas),
            use_area=dataset.area_rule == "annotation",
        )
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def _by_faster_coco_eval(
    module: ModuleType, dataset: PoseDataset, truth: dict[str, Any], results: Rows
) -> Any:
    # xtcocotools leaves out detections without a keypoint score above 0; this one takes all.
    scored = [dict(row) for row in results if any(score > 0 for score in row["keypoints"][2::3])]
    annotated = module.COCO(truth)
    evaluation = module.COCOeval_faster(
        annotated,
        annotated.loadRes(scored),
        "keypoints_crowd",
        kpt_oks_sigmas=list(dataset.keypoints.sigmas),
        use_area=True,
    )
    evaluation.run()
    return evaluation.stats
