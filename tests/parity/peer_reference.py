"""Runs the reference, MMPose 1.3.2, in its own environment and caches what it dumps."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peer_families import (
    FAMILIES,
    FIT_COORDINATES,
    MAKE_OPTIONS,
    SCALE_OUTPUTS,
    UNFITTED,
    is_regression,
)
from trained_networks import TRAINED, synthetic_data, write_trained

CACHE = Path(os.environ.get("POSEBENCH_PARITY_CACHE", "~/.cache/posebench-parity")).expanduser()
SEED = 1
OUTPUT_SCALE = 10
# 5286 boxes would take a ResNet-50 hours on two cores; a cut at 0.5 leaves 43 of them.
BOX_SCORE = 0.5
_DROPPED = ("inputs", "simcc_x_mirrored_raw", "simcc_y_mirrored_raw", "heatmaps_mirrored_raw")


@dataclass(frozen=True)
class Dump:
    """What the reference computed: arrays by name, with `_flip` or `_noflip` at their end."""

    arrays: Mapping[str, NDArray[Any]]
    metrics: Mapping[str, Mapping[str, float]]

    def raw(self, flip: bool) -> tuple[NDArray[np.float32], ...]:
        """Return the outputs that were decoded."""
        tag = tag_of(flip)
        names = ("heatmaps",) if f"heatmaps_{tag}" in self.arrays else ("simcc_x", "simcc_y")
        outputs = (self.arrays[f"{name}_{tag}"] for name in names)
        # Coordinates (N, 1, K, values) have an axis for persons of a crop.
        return tuple(output[:, 0] if output.shape[1] == 1 else output for output in outputs)


@dataclass(frozen=True)
class Material:
    """Images with annotated persons and detected boxes; `scored`: the reference scores on them."""

    annotations: Path
    images: Path
    detections: Path | None = None
    scored: bool = True

    @property
    def detected_boxes(self) -> Path:
        """Return a boxes file with the detections of score `BOX_SCORE` and above."""
        assert self.detections is not None
        rows = [row for row in json.loads(self.detections.read_text()) if row["score"] >= BOX_SCORE]
        return _cached(f"{self.detections.stem}_{BOX_SCORE}.json", rows)

    @property
    def fit_annotations(self) -> Path:
        """Return the annotations, each person once more for every detection of at least IoU 0.5.

        A last layer fitted to ground-truth boxes alone has an AP of 0 on detected ones, and
        equal zeros prove nothing.
        """
        raw = json.loads(self.annotations.read_text())
        persons = [row for row in raw["annotations"] if row["num_keypoints"] and not row["iscrowd"]]
        for detection in json.loads(self.detected_boxes.read_text()):
            for person in persons:
                same_image = person["image_id"] == detection["image_id"]
                if same_image and box_iou(person["bbox"], detection["bbox"]) >= 0.5:
                    number = 10**9 + len(raw["annotations"])
                    raw["annotations"].append({**person, "bbox": detection["bbox"], "id": number})
        return _cached(f"fit_{self.annotations.stem}.json", raw)


@dataclass(frozen=True)
class Peer:
    """The reference, and the folder of real data to run it on."""

    python: Path
    script: Path
    data: Path

    def material(self, family: str) -> Material:
        """Return what a family is run on: rendered people, or the data set its config names."""
        if family in TRAINED:
            return Material(*synthetic_data())
        if "/crowdpose/" in FAMILIES[family]:
            mini = self.data / "crowdpose" / "mini"
            detections = mini / "test_crowdpose_det_AP_40.json"
            return Material(mini / "test_crowdpose.json", mini, detections)
        mini = self.data / "coco-mini"
        coco = Material(
            mini / "annotations" / "person_keypoints_val2017.json",
            mini / "val2017",
            mini / "person_detection_results" / "rtmdet_nano.json",
        )
        if FAMILIES[family].startswith("wholebody"):
            return replace(coco, annotations=_with_hands(coco.annotations), scored=False)
        return coco

    def config(self, family: str) -> Path | str:
        """Return the config of a family: a file, or its path below MMPose's configs."""
        return write_trained(family, CACHE)[1] if family in TRAINED else FAMILIES[family]

    def checkpoint(self, family: str) -> Path:
        """Return a trained network, or a seeded one with a fitted last layer: its AP is not 0.

        Outputs of the latter are scaled up, so that keypoint scores pass the threshold of
        rescoring: otherwise poses share the score 0, and the reference sorts them unstably.
        """
        if family in TRAINED:
            CACHE.mkdir(parents=True, exist_ok=True)
            return write_trained(family, CACHE)[0]
        path = CACHE / f"{family}_seed{SEED}_times{OUTPUT_SCALE}.pth"
        if not path.is_file():
            with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                made, fitted = Path(folder, "made.pth"), Path(folder, "fitted.pth")
                self._make(family, made, fitted)
                fitted.replace(path)
        return path

    def _make(self, family: str, made: Path, fitted: Path) -> None:
        material = self.material(family)
        command = [self.script, "make", FAMILIES[family], made, "--seed", SEED]
        command += MAKE_OPTIONS.get(family, ())
        if is_regression(family):
            self._run(command)
            places = [FAMILIES[family], material.fit_annotations, material.images]
            self._run(["-c", FIT_COORDINATES, self.script, made, fitted, *places])
            return
        if material.scored and family not in UNFITTED:
            command += ["--fit-ann", material.fit_annotations]
            command += ["--fit-images", material.images]
        self._run(command)
        self._run(["-c", SCALE_OUTPUTS, made, fitted, OUTPUT_SCALE])

    def dump(self, family: str, boxes: str) -> Dump:
        """Return outputs, keypoints and metrics with and without flip test; `gt` or `detected`."""
        material = self.material(family)
        arguments = ["forward", self.checkpoint(family), self.config(family)]
        arguments += ["--images", material.images, "--ann", material.annotations]
        if boxes == "detected":
            arguments += ["--bbox-file", material.detected_boxes]
        key = hashlib.sha256(repr([*map(str, arguments), BOX_SCORE]).encode()).hexdigest()
        path = CACHE / f"{family.replace(' ', '')}_{boxes}_{key[:12]}.npz"
        if not path.is_file():
            with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                whole, cut = Path(folder, "whole.npz"), Path(folder, "cut.npz")
                self._run([self.script, *arguments, "--out", whole])
                with np.load(whole) as stored:
                    arrays = {name: stored[name] for name in stored.files if name not in _DROPPED}
                metrics = {
                    tag: self._metric(family, prediction_arrays(arrays, tag), Path(folder))
                    for tag in ("flip", "noflip")
                    if material.scored
                }
                np.savez(cut, metrics=json.dumps(metrics), **arrays)
                cut.replace(path)
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files if name != "metrics"}
            return Dump(arrays, json.loads(str(stored["metrics"])))

    def scored_jitter(self, seed: int) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
        """Return noisy, repeated ground truth as predictions, and the ten numbers they score."""
        with tempfile.TemporaryDirectory() as folder:
            result = Path(folder, "metric.npz")
            annotations = self.material("td-hm_res50").annotations
            arguments = ["metric", FAMILIES["td-hm_res50"], "--ann", annotations]
            self._run([self.script, *arguments, "--jitter", seed, "--out", result])
            with np.load(result) as stored:
                arrays = {name: stored[name] for name in stored.files if name != "info"}
                return arrays, json.loads(str(stored["info"]))["metric"]

    def _metric(
        self, family: str, predictions: Mapping[str, NDArray[Any]], folder: Path
    ) -> dict[str, float]:
        source, result = folder / "predictions.npz", folder / "metric.npz"
        np.savez(source, allow_pickle=True, **predictions)
        annotations = self.material(family).annotations
        arguments = ["metric", self.config(family), "--ann", annotations]
        self._run([self.script, *arguments, "--preds", source, "--out", result])
        with np.load(result) as stored:
            metrics: dict[str, float] = json.loads(str(stored["info"]))["metric"]
        return metrics

    def _run(self, arguments: list[Any]) -> None:
        command = [str(self.python), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")


def _with_hands(annotations: Path) -> Path:
    """Return the annotations with unlabelled feet, face and hands, as COCO-WholeBody's loader asks.

    Its ground-truth boxes are COCO's, and networks of 133 keypoints can be run on them.
    """
    raw = json.loads(annotations.read_text())
    counts = {"foot": 6, "face": 68, "lefthand": 21, "righthand": 21}
    for row in raw["annotations"]:
        row |= {f"{part}_kpts": [0, 0, 0] * count for part, count in counts.items()}
        row |= {f"{part}_valid": False for part in counts}
    return _cached("wholebody_annotations.json", raw)


def _cached(name: str, content: Any) -> Path:
    """Return a JSON file of the cache that holds `content`."""
    path = CACHE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def prediction_arrays(arrays: Mapping[str, NDArray[Any]], tag: str) -> dict[str, NDArray[Any]]:
    """Return what the reference's scorer takes, of one flip setting."""
    names = ("ids", "img_ids", "bboxes", "bbox_scores", "bbox_scales")
    chosen = {name: arrays[name] for name in names}
    return {**chosen, "keypoints": arrays[f"keypoints_{tag}"], "scores": arrays[f"scores_{tag}"]}


def box_iou(one: list[float], other: list[float]) -> float:
    """Return the intersection over union of two boxes (left, top, width, height)."""
    (x, y, w, h), (u, v, s, t) = one, other
    inter_w, inter_h = min(x + w, u + s) - max(x, u), min(y + h, v + t) - max(y, v)
    inter = max(inter_w, 0) * max(inter_h, 0)
    return inter / (w * h + s * t - inter)


def tag_of(flip: bool) -> str:
    """Return the reference's name for a flip setting."""
    return "flip" if flip else "noflip"
