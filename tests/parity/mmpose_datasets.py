"""What MMPose's data sets and metrics say; run by the Python of MMPose's own environment.

`mmpose_datasets.py FOLDER` reads `FOLDER/jobs.json`, a list of jobs, and writes
`FOLDER/answers.json`. A job with a `dataset` builds it, MMPose's way, from its annotation file; one
without has its ground truth in its arrays. `arrays` is an .npz with predictions by instance, and
`metrics` are what MMPose's registry builds.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.evaluation.functional import keypoint_eval
from mmpose.registry import DATASETS, METRICS

# Fields of an instance that metrics read, and what they are called there.
FIELDS = {"bbox": "bboxes", "bbox_score": "bbox_scores", "keypoints": "keypoints",
          "keypoints_visible": "keypoints_visible", "head_size": "head_size",
          "box_size": "box_size"}  # fmt: skip


def instances_of(dataset: Any) -> list[dict[str, Any]]:
    """Return the instances of a data set in its order."""
    return [dataset.get_data_info(index) for index in range(len(dataset))]


def built(config: dict[str, Any]) -> Any:
    return DATASETS.build({"pipeline": [], "test_mode": True, **config})


def given(arrays: Any) -> list[dict[str, Any]]:
    """Return the instances that a job's arrays hold."""
    names = [name for name in FIELDS if name in arrays]
    return [
        {
            "id": int(arrays["ids"][row]),
            "img_id": int(arrays["image_ids"][row]),
            **{name: arrays[name][row : row + 1] for name in names},
        }
        for row in range(len(arrays["ids"]))
    ]


def sample(info: dict[str, Any], arrays: Any, row: int) -> dict[str, Any]:
    """Return what a metric gets of an instance and its prediction."""
    truth = {FIELDS[name]: info[name] for name in FIELDS if name in info}
    truth["bbox_scales"] = np.array([[arrays["areas"][row], 1.0]])
    boxes = {"bboxes": arrays["boxes"][row : row + 1]} if "boxes" in arrays else {}
    return {
        "id": info["id"],
        "img_id": info["img_id"],
        "category_id": int(np.ravel(info.get("category_id", 1))[0]),
        "gt_instances": truth,
        "pred_instances": {
            "keypoints": arrays["points"][row : row + 1],
            "keypoint_scores": arrays["scores"][row : row + 1],
            **boxes,
        },
    }


def in_double(metric: Any) -> dict[str, float]:
    """Return a mean of MMPose's distances in double precision; none of other metrics.

    MMPose rounds each distance to single precision and adds them up in it. How, and so the last
    digits, depends on the version of numpy.
    """
    if type(metric).__name__ not in ("EPE", "NME"):
        return {}
    kept: list[np.ndarray] = []

    def keep(*arguments: Any) -> np.ndarray:
        kept.append(original(*arguments))
        return kept[-1]

    original = keypoint_eval._calc_distances
    with mock.patch.object(keypoint_eval, "_calc_distances", keep):
        values = metric.compute_metrics(list(metric.results))
    counted = kept[-1][kept[-1] != -1].astype(np.float64)
    (name,) = values
    exact = counted.mean() if len(counted) else 0.0
    assert abs(exact - values[name]) <= 1e-5 * max(exact, 1e-9)
    return {name: float(exact)}


def answer(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the instances that MMPose evaluates, and its metrics of the predictions."""
    if job.get("dataset"):
        dataset = built(job["dataset"])
        infos, meta = instances_of(dataset), dataset.metainfo
    if job.get("arrays") is None:
        return {"instances": [plain(info) for info in infos]}
    arrays = np.load(folder / job["arrays"])
    if not job.get("dataset"):
        infos = given(arrays)
        meta = parse_pose_metainfo({"from_file": f"configs/_base_/datasets/{job['meta']}.py"})
    rows = {int(key): row for row, key in enumerate(arrays["ids"])}
    found = []
    for config in job["metrics"]:
        metric = METRICS.build(config)
        metric.dataset_meta = meta
        for info in infos:
            metric.process([], [sample(info, arrays, rows[int(info["id"])])])
        exact = in_double(metric)
        values = {**metric.evaluate(size=len(infos)), **exact}
        found.append({name.rpartition("/")[2]: float(value) for name, value in values.items()})
    return {"metrics": found}


def plain(info: dict[str, Any]) -> dict[str, Any]:
    """Return an instance as JSON holds it."""
    return {
        "id": int(info["id"]),
        "image_id": int(info["img_id"]),
        "bbox": np.ravel(info["bbox"]).tolist(),
        "keypoints": np.reshape(info["keypoints"], (-1, 2)).tolist(),
        "visible": np.ravel(info["keypoints_visible"]).tolist(),
    }


def main() -> None:
    folder = Path(sys.argv[1])
    init_default_scope("mmpose")
    warnings.simplefilter("ignore")
    MMLogger.get_instance("datasets", log_level=logging.ERROR)
    answers = []
    for job in json.loads((folder / "jobs.json").read_text()):
        with contextlib.redirect_stdout(io.StringIO()):
            answers.append(answer(job, folder))
    (folder / "answers.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main()
