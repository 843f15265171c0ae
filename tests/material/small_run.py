"""Tiny checkpoints, a tiny data set, and results made up for tests of the run path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from posebench.checkpoints.native import save_checkpoint
from posebench.datasets.keypoints import COCO, KeypointSet
from posebench.lab.training.initial_weights import initialise
from posebench.networks.codecs import CODECS
from posebench.networks.heads import HEADS
from posebench.networks.model import PoseModel, build_model
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec
from posebench.results.cell import CellResult, CheckpointFacts, Intervals, Protocol, Status

SIZE = InputSize(64, 48)
STRIDE = 16
BACKBONE = BackboneSpec("resnet", {"depth": 18, "base_channels": 4, "out_stage": 3})


def small_spec(paradigm: str, size: InputSize = SIZE, keypoints: KeypointSet = COCO) -> ModelSpec:
    codec = CODECS[HEADS[paradigm].codec.kind]()
    return ModelSpec(BACKBONE, HeadSpec(paradigm), codec, size, keypoints)


def small_model(paradigm: str, seed: int = 0, **spec: Any) -> PoseModel:
    model = build_model(small_spec(paradigm, **spec))
    initialise(model, seed)
    return model.eval()


def small_checkpoint(path: Path, paradigm: str = "heatmap", **spec: Any) -> Path:
    save_checkpoint(path, small_model(paradigm, **spec), {}, dtype=torch.float32)
    return path


def edit_annotations(path: Path, change: Any) -> None:
    """Rewrite an annotation file by `change(raw)`."""
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))


def posebench(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does, in a process of its own."""
    own = {"OMP_NUM_THREADS": "1", **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-m", "posebench", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=options.pop("timeout", 120),
        env={**{k: v for k, v in os.environ.items() if k != "COLUMNS"}, **own},
        **options,
    )


PROTOCOL = Protocol(
    engine="torch",
    dataset="people",
    annotations_sha256="a" * 64,
    keypoints="coco",
    sigmas=COCO.sigmas,
    area_rule="annotation",
    boxes="gt",
    boxes_sha256=None,
    min_box_score=None,
    box_nms=None,
    max_boxes=None,
    boxes_left_out=(),
    images=150,
    instances=339,
    flip_test=True,
    decoder="quarter",
    crop="classic",
    crop_padding=1.25,
    rescoring="bbox_keypoint",
    keypoint_threshold=0.2,
    nms="hard",
    nms_threshold=0.9,
    evaluator="posebench, COCO rules",
)
METRICS = ("AP", "AP50", "AP75", "AP(M)", "AP(L)", "AR", "AR50", "AR75", "AR(M)", "AR(L)")


def made_up(
    name: str,
    size: str | None,
    policy: str | None,
    ap: float | None = None,
    status: Status = "ok",
    reason: str | None = None,
) -> CellResult:
    """Return a result that nothing computed; without AP it has no numbers."""
    facts = CheckpointFacts(name)
    if size is not None:
        paradigm = name.partition("-")[0]
        facts = CheckpointFacts(name, "b" * 64, "posebench", paradigm, "ResNet-18", SIZE, 1_234_567)
    result = CellResult(
        facts, InputSize.parse(size) if size else None, policy, status, PROTOCOL, reason
    )
    if ap is None:
        return result
    numbers: dict[str, float | None] = {m: ap + i / 100 for i, m in enumerate(METRICS)}
    numbers["AP(M)"] = None
    localised = {"PCK@0.05": ap / 2, "PCK@0.1": ap + 0.3, "PCK@0.2": 1.0, "median error": 0.042}
    return CellResult(
        facts,
        result.size,
        policy,
        status,
        PROTOCOL,
        gflops=0.0469,
        metrics={**numbers, **localised},
        intervals=Intervals(
            level=0.95,
            method="percentile",
            replicates=1000,
            seed=0,
            low={m: value and value - 0.02 for m, value in numbers.items()},
            high={m: value and value + 0.03 for m, value in numbers.items()},
        ),
        instances_per_second=248.04,
    )
