"""posebench beside MMPose and xtcocotools on data sets besides COCO and CrowdPose."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from animal_problems import animal_problem
from distance_problems import NAMES, DistanceProblem, distance_problem
from numpy.typing import NDArray
from outside_files import peer_python

from posebench.datasets.coco import PoseDataset, ground_truth_instances, load_dataset
from posebench.datasets.known.record import known_dataset
from posebench.datasets.rules import LoadOptions
from posebench.prediction.predictions import Predictions
from posebench.scoring.evaluate import ScoringOptions, evaluate
from posebench.scoring.matching.metrics import mean_of_categories
from posebench.scoring.metrics import scored_by

SCRIPT = Path(__file__).with_name("mmpose_datasets.py")
CHECKOUT_VARIABLE = "POSEBENCH_MMPOSE"
COCO_STATS = ("AP", "AP .5", "AP .75", "AP (M)", "AP (L)", "AR", "AR .5", "AR .75", "AR (M)",
              "AR (L)")  # fmt: skip
_JOINTS = {"Head": "head", "Shoulder": "shoulder", "Sho": "shoulder", "Elbow": "elbow",
           "Elb": "elbow", "Wrist": "wrist", "Wri": "wrist", "Hip": "hip", "Knee": "knee",
           "Ankle": "ankle", "Ank": "ankle"}  # fmt: skip
# The metainfo of MMPose that has a record's keypoints.
META = {
    "coco-wholebody-face": "coco_wholebody_face",
    "coco-wholebody-hand": "coco_wholebody_hand",
    "freihand": "freihand2d",
    "body8": "halpe26",
}


def asked(jobs: Sequence[Mapping[str, Any]], arrays: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """Return MMPose's answers to jobs; `arrays` are those that they name."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "jobs.json").write_text(json.dumps(jobs))
        for file, values in arrays.items():
            np.savez(folder / file, **values)
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        environment.pop("PYTHONWARNINGS", None)
        environment.pop("PYTHONPATH", None)
        command = [str(peer_python()), str(SCRIPT), str(folder)]
        run = subprocess.run(
            command, capture_output=True, text=True, env=environment, check=False, cwd=folder
        )
        if run.returncode:
            raise RuntimeError(run.stderr[-3000:])
        answers: list[Any] = json.loads((folder / "answers.json").read_text())
        return answers


def metric_configs(name: str) -> list[dict[str, Any]]:
    """Return the metrics of a known data set as MMPose's configs have them."""
    known = known_dataset(name)
    if known.kind == "wholebody":
        return [{"type": "CocoWholeBodyMetric"}]
    if known.distances is None:
        crowded = {"iou_type": "keypoints_crowd"} if known.kind == "crowdpose" else {}
        return [{"type": "CocoMetric", "use_area": known.area_rule == "annotation", **crowded}]
    if name == "mpii":
        return [{"type": "MpiiPCKAccuracy", "thr": thr, "norm_item": "head"} for thr in (0.5, 0.1)]
    if name == "jhmdb":
        return [{"type": "JhmdbPCKAccuracy", "thr": 0.2, "norm_item": ["bbox", "torso"]}]
    if known.distances.face_size is not None:
        if known.distances.face_size == "box":
            return [{"type": "NME", "norm_mode": "use_norm_item", "norm_item": "bbox_size"}]
        return [{"type": "NME", "norm_mode": "keypoint_distance"}]
    first = known.distances.metrics[0]
    return [{"type": "PCKAccuracy", "thr": float(first.partition("@")[2])}, {"type": "AUC"},
            {"type": "EPE"}]  # fmt: skip


def by_our_names(name: str, found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return MMPose's numbers under posebench's names; -1 for those of which nothing counts."""
    known = known_dataset(name)
    if known.distances is None:
        recipes = [recipe.name for recipe in scored_by(known.kind, None)]
        return dict(zip(recipes, found[0].values(), strict=False))
    if name == "mpii":
        named = {}
        for threshold, values in zip(("0.5", "0.1"), found, strict=True):
            for key, value in values.items():
                joint = _JOINTS.get(key.removesuffix(" PCK"))
                if key == "PCK" or joint:
                    named[f"PCKh@{threshold}" + (f"({joint})" if joint else "")] = value / 100
        return named
    if name == "jhmdb":
        named = {}
        for key, value in found[0].items():
            joint, _, kind = key.rpartition(" ")
            size = {"PCK": "person", "tPCK": "torso"}[kind]
            named[f"PCK({size}, {_JOINTS[joint]})" if joint else f"PCK({size})"] = value
        return named
    first = [next(iter(each.values())) for each in found]
    return dict(zip(known.distances.metrics, first, strict=True))


def our_numbers(datasets: Sequence[PoseDataset], predictions: Predictions) -> dict[str, float]:
    """Return posebench's numbers, the mean over categories; -1 for none."""
    found = []
    for dataset in datasets:
        ids = {row["id"] for row in dataset.persons}
        rows = np.flatnonzero([key in ids for key in predictions.ids.tolist()])
        own = subset(predictions, rows)
        values = evaluate(dataset, own, ScoringOptions()).metrics.values
        names = [recipe.name for recipe in scored_by(dataset.kind, dataset.distances)]
        found.append({name: values[name] for name in names})
    means = mean_of_categories(found)
    return {name: -1.0 if value is None else value for name, value in means.items()}


def subset(predictions: Predictions, rows: NDArray[Any]) -> Predictions:
    return Predictions(
        *(getattr(predictions, name)[rows] for name in Predictions.__dataclass_fields__)
    )


def gap(ours: Mapping[str, float], theirs: Mapping[str, float]) -> float:
    """Return the largest difference of the numbers that both have.

    Of a pair of joints, MMPose takes -1 for one that nobody has labelled into the mean; posebench
    takes the mean of those that somebody has.
    """
    gaps = [0.0]
    for name in ours.keys() & theirs.keys():
        meant = [ours[name], *([(ours[name] - 1) / 2] if "(" in name else [])]
        if ours[name] != -1:
            gaps.append(min(abs(value - theirs[name]) for value in meant))
    return max(gaps)


@dataclass(frozen=True)
class Problems:
    """How far random problems of a data set are from MMPose at most."""

    name: str
    count: int
    numbers: int
    gap: float


def problem_rows(seeds: Sequence[int]) -> list[Problems]:
    """Score random problems by both tools."""
    jobs, arrays, problems = [], {}, []
    for seed in seeds:
        name = NAMES[seed % len(NAMES)]
        problem = distance_problem(name, seed)
        file = f"{seed}.npz"
        arrays[file] = _arrays(problem)
        job = {"arrays": file, "meta": META.get(name, name), "metrics": metric_configs(name)}
        jobs.append(job)
        problems.append((name, problem))
    gaps: dict[str, list[tuple[float, int]]] = {}
    for (name, problem), found in zip(problems, asked(jobs, arrays), strict=True):
        ours = our_numbers([problem.dataset], problem.predictions)
        theirs = by_our_names(name, found["metrics"])
        shared = sum(key in theirs and value != -1 for key, value in ours.items())
        gaps.setdefault(name, []).append((gap(ours, theirs), shared))
    return [
        Problems(name, len(own), sum(n for _, n in own), max(size for size, _ in own))
        for name, own in gaps.items()
    ]


def _arrays(problem: DistanceProblem) -> dict[str, Any]:
    instances, predictions = problem.instances, problem.predictions
    rows = {row["id"]: row for row in problem.dataset.persons}
    # MMPose adds 1 to MPII's predictions, whose labels count from 1 in its files.
    shift = 1.0 if problem.dataset.name == "mpii" else 0.0
    return {
        "ids": instances.ids,
        "image_ids": predictions.image_ids,
        "bbox": instances.bbox_xyxy,
        "keypoints": problem.labels[..., :2],
        "keypoints_visible": np.minimum(1, problem.labels[..., 2]),
        "head_size": np.array([rows[key]["head_size"] for key in instances.ids.tolist()]),
        "points": predictions.keypoints - shift,
        "scores": predictions.keypoint_scores,
        "areas": predictions.areas,
    }


def category_problems(seeds: Sequence[int]) -> Problems:
    """Score random files in AP-10K's layout, all species together, by both tools."""
    jobs, arrays, problems = [], {}, []
    with tempfile.TemporaryDirectory() as name:
        for seed in seeds:
            problem = animal_problem(Path(name), seed)
            file = f"{seed}.npz"
            arrays[file] = _prediction_arrays(problem.predictions) | {
                "boxes": problem.predictions.bbox_xyxy
            }
            path = str(problem.path)
            dataset = {"type": "AP10KDataset", "ann_file": path, "data_prefix": {"img": ""}}
            metrics = [{"type": "CocoMetric", "ann_file": path}]
            jobs.append({"dataset": dataset, "arrays": file, "metrics": metrics})
            problems.append(problem)
        answers = asked(jobs, arrays)
    gaps, counted = [0.0], 0
    for problem, found in zip(problems, answers, strict=True):
        ours = our_numbers([problem.dataset], problem.predictions)
        theirs = by_our_names("ap10k", found["metrics"])
        gaps.append(max(abs(ours[key] - value) for key, value in theirs.items()))
        counted += sum(value != -1 for value in theirs.values())
    return Problems("ap10k", len(problems), counted, max(gaps))


@dataclass(frozen=True)
class SmallSet:
    """A small test set of MMPose: its file and images, and the class that MMPose reads it with."""

    record: str
    file: str
    kind: str
    more: Mapping[str, Any] = field(default_factory=dict)


SMALL_SETS = (
    SmallSet("coco-wholebody", "coco/test_coco_wholebody.json", "CocoWholeBodyDataset"),
    SmallSet("coco-wholebody-face", "coco/test_coco_wholebody.json", "CocoWholeBodyFaceDataset"),
    SmallSet("coco-wholebody-hand", "coco/test_coco_wholebody.json", "CocoWholeBodyHandDataset"),
    SmallSet("mpii", "mpii/test_mpii.json", "MpiiDataset"),
    SmallSet("jhmdb", "jhmdb/test_jhmdb_sub1.json", "JhmdbDataset"),
    SmallSet("aic", "aic/test_aic.json", "AicDataset"),
    SmallSet("ochuman", "ochuman/test_ochuman.json", "OCHumanDataset"),
    SmallSet("humanart", "humanart/test_humanart.json", "HumanArtDataset"),
    SmallSet("crowdpose", "crowdpose/test_crowdpose.json", "CrowdPoseDataset"),
    SmallSet("exlpose", "exlpose/test_exlpose.json", "ExlposeDataset"),
    SmallSet("ap10k", "ap10k/test_ap10k.json", "AP10KDataset"),
    SmallSet("animalpose", "animalpose/test_animalpose.json", "AnimalPoseDataset"),
    SmallSet("300w", "300w/test_300w.json", "Face300WDataset"),
    SmallSet("wflw", "wflw/test_wflw.json", "WFLWDataset"),
    SmallSet("cofw", "cofw/test_cofw.json", "COFWDataset"),
    SmallSet("aflw", "aflw/test_aflw.json", "AFLWDataset"),
    SmallSet("onehand10k", "onehand10k/test_onehand10k.json", "OneHand10KDataset"),
    SmallSet("freihand", "freihand/test_freihand.json", "FreiHandDataset"),
)


@dataclass(frozen=True)
class SmallSetRow:
    """What both tools say of a small set, over several perturbed predictions."""

    record: str
    images: int
    instances: int
    box_gap: float
    label_gap: float
    main: str
    ours: float
    theirs: float
    numbers: int
    gap: float


@dataclass(frozen=True)
class _Loaded:
    """A small set as posebench read it, and how MMPose reads it."""

    small: SmallSet
    annotations: Path
    datasets: tuple[PoseDataset, ...]
    config: Mapping[str, Any]


def small_set_rows(data: Path, seeds: Sequence[int] = (0, 1, 2)) -> list[SmallSetRow]:
    """Score perturbed labels of MMPose's small test sets, in its folder `tests/data`, by both."""
    with tempfile.TemporaryDirectory() as name:
        sets = [_loaded(each, data, Path(name)) for each in SMALL_SETS]
        jobs, arrays, predictions = list[dict[str, Any]](), {}, []
        for place, each in enumerate(sets):
            jobs.append({"dataset": each.config})
            for seed in seeds:
                made, file = _perturbed(each.datasets, seed), f"{place}-{seed}.npz"
                predictions.append(made)
                arrays[file] = _prediction_arrays(made)
                metrics = metric_configs(each.small.record)
                for metric in metrics:
                    if metric["type"].startswith("Coco"):
                        metric["ann_file"] = str(each.annotations)
                jobs.append({"dataset": each.config, "arrays": file, "metrics": metrics})
        answers = asked(jobs, arrays)
    step, rows = len(seeds) + 1, []
    for place, each in enumerate(sets):
        built, *found = answers[step * place : step * (place + 1)]
        own = predictions[len(seeds) * place : len(seeds) * (place + 1)]
        pairs = [
            (our_numbers(each.datasets, made), by_our_names(each.small.record, answer["metrics"]))
            for made, answer in zip(own, found, strict=True)
        ]
        rows.append(_small_set_row(each, built["instances"], pairs))
    return rows


def _loaded(small: SmallSet, data: Path, folder: Path) -> _Loaded:
    annotations, more = data / small.file, dict(small.more)
    if small.record == "mpii":
        annotations, heads = _with_head_boxes(annotations, folder)
        more["headbox_file"] = str(heads)
    # CrowdPose's file tells by itself.
    known = None if small.record == "crowdpose" else known_dataset(small.record)
    options = LoadOptions(known=known)
    datasets = (load_dataset(annotations, data, options),)
    config = {"type": small.kind, "ann_file": str(annotations), "data_prefix": {"img": ""}, **more}
    return _Loaded(small, annotations, datasets, config)


def _small_set_row(
    loaded: _Loaded,
    instances: Sequence[Mapping[str, Any]],
    pairs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]],
) -> SmallSetRow:
    boxes, labels = _instance_gaps(loaded.datasets, {row["id"]: row for row in instances})
    ours, theirs = pairs[0]
    main = next(iter(ours))
    return SmallSetRow(
        record=loaded.small.record,
        images=len(loaded.datasets[0].images),
        instances=len(instances),
        box_gap=boxes,
        label_gap=labels,
        main=main,
        ours=ours[main],
        theirs=theirs[main],
        numbers=sum(name in theirs and value != -1 for name, value in ours.items()),
        gap=max(gap(*pair) for pair in pairs),
    )


def _with_head_boxes(annotations: Path, folder: Path) -> tuple[Path, Path]:
    """Write MPII's small set with made-up head boxes, which it comes without."""
    from scipy.io import savemat

    own, heads = folder / "mpii_val.json", folder / "mpii_gt_val.mat"
    shutil.copy(annotations, own)
    count = len(json.loads(own.read_text()))
    corners = np.random.default_rng(5).uniform(10, 300, (1, 2, count))
    sizes = np.random.default_rng(6).uniform(20, 90, (1, 2, count))
    savemat(str(heads), {"headboxes_src": np.concatenate([corners, corners + sizes])})
    return own, heads


def _perturbed(datasets: Sequence[PoseDataset], seed: int) -> Predictions:
    """Return the labels of all instances, each moved by up to a share of its box."""
    rng, parts = np.random.default_rng(seed), []
    for dataset in datasets:
        instances = ground_truth_instances(dataset)
        labels = instances.keypoints
        assert labels is not None
        sides = (instances.bbox_xyxy[:, 2:] - instances.bbox_xyxy[:, :2]).max(axis=1)
        spread = rng.uniform(0.005, 0.08, len(sides)) * sides
        offsets = rng.normal(size=(*labels.shape[:2], 2)) * spread[:, None, None]
        image_ids = np.array([image.id for image in dataset.images])
        parts.append(
            (
                image_ids[instances.image_index],
                instances.ids,
                labels[..., :2].astype(np.float64) + offsets,
                rng.uniform(0.1, 1, labels.shape[:2]),
                instances.bbox_xyxy,
                instances.bbox_scores,
                (sides * sides * 1.5).astype(np.float32),
            )
        )
    return Predictions(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _prediction_arrays(predictions: Predictions) -> dict[str, Any]:
    # MPII's labels count from 0 in posebench; MMPose leaves them and adds 1 to predictions.
    return {
        "ids": predictions.ids,
        "points": predictions.keypoints,
        "scores": predictions.keypoint_scores,
        "areas": predictions.areas,
    }


def _instance_gaps(
    datasets: Sequence[PoseDataset], theirs: Mapping[int, Mapping[str, Any]]
) -> tuple[float, float]:
    """Return how far boxes and labels of the instances are from MMPose's; both have the same."""
    boxes, labels, seen = 0.0, 0.0, set()
    for dataset in datasets:
        instances = ground_truth_instances(dataset)
        assert instances.keypoints is not None
        known = dataset.known
        shift = 1.0 if known is not None and known.name == "mpii" else 0.0
        for row, key in enumerate(instances.ids.tolist()):
            other = theirs[key]
            seen.add(key)
            boxes = max(boxes, float(np.abs(instances.bbox_xyxy[row] - other["bbox"]).max()))
            labelled = instances.keypoints[row, :, 2] > 0
            points = instances.keypoints[row, :, :2] + shift
            gaps = np.abs(points - np.array(other["keypoints"]))[labelled]
            labels = max(labels, float(gaps.max(initial=0)))
    if seen != theirs.keys():
        raise RuntimeError(f"other instances: {sorted(seen ^ theirs.keys())[:5]}")
    return boxes, labels
