"""Rescoring, OKS-NMS and scoring equal MMPose's `CocoMetric` on noisy, duplicated predictions."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from outside_files import NO_PEER, peer_python, peer_script

from posebench.datasets.coco import PoseDataset, load_annotations
from posebench.prediction.predictions import Predictions
from posebench.scoring.evaluate import ScoringOptions, evaluate
from posebench.scoring.nms import NmsRule
from posebench.scoring.rescoring import Rescoring

CONFIGS = {
    "coco": "body_2d_keypoint/rtmpose/coco/rtmpose-t_8xb256-420e_coco-256x192.py",
    "crowdpose": "body_2d_keypoint/rtmpose/crowdpose/rtmpose-m_8xb64-210e_crowdpose-256x192.py",
}
PEER_NMS: dict[NmsRule, str] = {"hard": "oks_nms", "soft": "soft_oks_nms", "none": "none"}


def peer_metric(dataset: PoseDataset, out: Path, *options: str) -> None:
    python, script = peer_python(), peer_script()
    if python is None or script is None:
        pytest.skip(NO_PEER)
    command = [str(python), str(script), "metric", CONFIGS[dataset.kind]]
    command += ["--ann", str(dataset.annotations), "--jitter", "7", "--out", str(out), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONWARNINGS", None)
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("annotations", "rescoring", "nms"),
    [
        ("coco-mini/annotations/person_keypoints_val2017.json", "bbox_keypoint", "hard"),
        ("coco-mini/annotations/person_keypoints_val2017.json", "bbox_rle", "soft"),
        ("coco-mini/annotations/person_keypoints_val2017.json", "bbox", "none"),
        ("crowdpose/example_crowdpose_val.json", "bbox_keypoint", "hard"),
        ("crowdpose/example_crowdpose_val.json", "keypoint", "soft"),
    ],
)
def test_equal_to_the_peer(
    shared_dir: Path, tmp_path: Path, annotations: str, rescoring: Rescoring, nms: NmsRule
) -> None:
    dataset = load_annotations(shared_dir / "data" / annotations, tmp_path)
    out = tmp_path / "peer.npz"
    options = ("--score-mode", rescoring, "--nms-mode", PEER_NMS[nms])
    peer_metric(dataset, out, *options)
    arrays = np.load(out)
    predictions = Predictions(
        image_ids=arrays["img_ids"],
        ids=arrays["ids"],
        keypoints=arrays["keypoints"],
        keypoint_scores=arrays["scores"],
        bbox_xyxy=arrays["bboxes"],
        bbox_scores=arrays["bbox_scores"],
        areas=np.prod(arrays["bbox_scales"], axis=1),
    )
    found = evaluate(dataset, predictions, ScoringOptions(rescoring, nms=nms))
    expected = json.loads((tmp_path / "peer.keypoints.json").read_text())
    assert len(found.results) == len(expected)
    for ours, theirs in zip(found.results, expected, strict=True):
        assert ours["score"] == pytest.approx(theirs.pop("score"), abs=1e-6)
        assert {key: ours[key] for key in theirs} == theirs
    metrics = json.loads(str(arrays["info"]))["metric"]
    ours_values = [-1.0 if value is None else value for value in found.metrics.values.values()]
    assert ours_values == pytest.approx(list(metrics.values()), abs=1e-6)
