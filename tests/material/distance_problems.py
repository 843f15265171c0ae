"""Random people, faces and hands of known data sets, and what their metrics are by definition.

`by_definition` follows MMPose's text, not posebench's code: plain loops over persons and keypoints,
in single precision where MMPose rounds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.coco import ImageRecord, Instances, PoseDataset, ground_truth_instances
from posebench.datasets.keypoints import KEYPOINT_SETS
from posebench.datasets.known.record import Distances, known_dataset
from posebench.prediction.predictions import Predictions

WIDTH, HEIGHT = 640, 480
NAMES = (
    "mpii", "jhmdb", "300w", "wflw", "cofw", "aflw", "coco-wholebody-face", "coco-wholebody-hand",
    "onehand10k", "freihand", "body8",
)  # fmt: skip
# Shares of a size by which predictions miss: some lie on a threshold, up to rounding.
MISSES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8)
SIZES = (3.0, 12.0, 40.0, 100.0)


@dataclass(frozen=True)
class DistanceProblem:
    """A data set and the pose of each of its persons, in their order."""

    dataset: PoseDataset
    predictions: Predictions

    @cached_property
    def instances(self) -> Instances:
        return ground_truth_instances(self.dataset)

    @property
    def labels(self) -> NDArray[np.float32]:
        keypoints = self.instances.keypoints
        assert keypoints is not None
        return keypoints

    @property
    def distances(self) -> Distances:
        assert self.dataset.distances is not None
        return self.dataset.distances


def distance_problem(name: str, seed: int) -> DistanceProblem:
    """Return a few images with one to three persons each, as a known data set annotates them."""
    rng = np.random.default_rng([seed, *name.encode()])
    known = known_dataset(name)
    count = len(KEYPOINT_SETS[known.keypoints])
    ids = rng.choice(900, rng.integers(1, 7), replace=False) + 1
    owners = [int(key) for key in ids for _ in range(rng.integers(1, 4))]
    rows = [_person(rng, number, owner, count) for number, owner in enumerate(owners, start=5)]
    if all(not row["num_keypoints"] for row in rows):
        rows[0] = {**rows[0], "keypoints": [30, 40, 2] * count, "num_keypoints": count}
    images = [{"id": int(key), "width": WIDTH, "height": HEIGHT} for key in ids]
    dataset = PoseDataset(
        name=name,
        kind=known.kind,
        annotations=Path(f"{name}.json"),
        annotations_sha256="0" * 64,
        images=tuple(ImageRecord(int(key), Path("x.png"), WIDTH, HEIGHT) for key in ids),
        keypoints=KEYPOINT_SETS[known.keypoints],
        area_rule=known.area_rule,
        raw={"images": images, "annotations": rows, "categories": [{"id": 1, "name": "person"}]},
        known=known,
    )
    return DistanceProblem(dataset, _predictions(rng, dataset))


def _person(rng: np.random.Generator, number: int, owner: int, count: int) -> dict[str, Any]:
    corner, size = rng.uniform(-20, 400, 2), rng.uniform(5, 200, 2)
    points = corner + rng.uniform(0, 1, (count, 2)) * size
    if rng.random() < 0.2:
        points = np.round(points)
    flags = rng.choice([0, 1, 2], count, p=[0.2, 0.3, 0.5]) if rng.random() < 0.9 else [0] * count
    if rng.random() < 0.1:
        points[:] = points[0]  # a face whose eyes are one point, a torso of no length
    return {
        "id": number,
        "image_id": owner,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [*corner.tolist(), *size.tolist()],
        "keypoints": np.c_[points, flags].ravel().tolist(),
        "num_keypoints": int(np.count_nonzero(flags)),
        "head_size": float(rng.choice(SIZES)),
    }


def _predictions(rng: np.random.Generator, dataset: PoseDataset) -> Predictions:
    instances = ground_truth_instances(dataset)
    keypoints = instances.keypoints
    assert keypoints is not None
    shape = keypoints.shape[:2]
    sides = (instances.bbox_xyxy[:, 2:] - instances.bbox_xyxy[:, :2]).max(axis=1)
    size = np.where(rng.random(len(sides)) < 0.5, sides, rng.choice(SIZES, len(sides)))
    misses = rng.choice(MISSES, shape) * size[:, None]
    along = rng.integers(0, 2, shape)
    offsets = np.stack([misses * along, misses * (1 - along)], axis=2)
    image_ids = np.array([image.id for image in dataset.images])
    return Predictions(
        image_ids=image_ids[instances.image_index],
        ids=instances.ids,
        keypoints=keypoints[..., :2].astype(np.float64) + offsets,
        keypoint_scores=rng.uniform(0.3, 1, shape),
        bbox_xyxy=instances.bbox_xyxy,
        bbox_scores=np.ones(len(sides), dtype=np.float32),
        areas=np.full(len(sides), 900, dtype=np.float32),
    )


def by_definition(problem: DistanceProblem) -> dict[str, float]:
    """Return the metrics of a problem's data set; -1 where nothing counts."""
    names = problem.distances.metrics
    return {name: _METRICS[name.partition("(")[0]](problem, name) for name in names}


Distance = Callable[[int, int], np.float32 | None]
"""Of a person and a keypoint: how far it is, or None if it does not count."""


def _relative_to(problem: DistanceProblem, size: Callable[[int], float]) -> Distance:
    labels, points = problem.labels, problem.predictions.keypoints

    @cache
    def distance(person: int, keypoint: int) -> np.float32 | None:
        x, y, flag = labels[person, keypoint]
        divisor = size(person)
        if not flag or divisor == 0:
            return None
        a, b = points[person, keypoint] - (x, y)
        length: np.float32 = np.float32(float(np.linalg.norm(np.array([a / divisor, b / divisor]))))
        return length

    return distance


def _values(problem: DistanceProblem, distance: Distance, keypoint: int) -> list[np.float32]:
    found = (distance(person, keypoint) for person in range(len(problem.instances)))
    return [value for value in found if value is not None]


def _within(values: Sequence[np.float32], threshold: float) -> float:
    return sum(bool(value < np.float32(threshold)) for value in values) / len(values)


def _mean_share(
    problem: DistanceProblem, distance: Distance, threshold: float, keypoints: Sequence[int]
) -> float:
    lists = [_values(problem, distance, keypoint) for keypoint in keypoints]
    shares = [_within(values, threshold) for values in lists if values]
    return float(np.mean(shares)) if shares else -1


def _mean_distance(problem: DistanceProblem, distance: Distance) -> float:
    keypoints = range(len(problem.dataset.keypoints))
    lists = [_values(problem, distance, keypoint) for keypoint in keypoints]
    values = list(map(float, itertools.chain(*lists)))
    return sum(values) / max(1, len(values))


def _box(problem: DistanceProblem) -> Distance:
    boxes = problem.instances.bbox_xyxy
    return _relative_to(problem, lambda person: max(boxes[person][2:] - boxes[person][:2]))


def _rows(problem: DistanceProblem) -> dict[int, dict[str, Any]]:
    return {row["id"]: row for row in problem.dataset.persons}


def _field(problem: DistanceProblem, name: str) -> Distance:
    rows, ids = _rows(problem), problem.instances.ids.tolist()
    return _relative_to(problem, lambda person: float(rows[ids[person]][name]))


def _between(problem: DistanceProblem, one: str, other: str) -> Distance:
    names = list(problem.dataset.keypoints.keypoints)
    labels = problem.labels[..., :2]
    first, second = names.index(one), names.index(other)
    lengths = np.linalg.norm(labels[:, first] - labels[:, second], axis=1)
    return _relative_to(problem, lambda person: lengths[person])


def _torso(problem: DistanceProblem) -> Distance:
    names = list(problem.dataset.keypoints.keypoints)
    ends = names.index("left_shoulder"), names.index("right_hip")
    labels, points = problem.labels[..., :2], problem.predictions.keypoints

    def size(person: int) -> float:
        own = np.linalg.norm(labels[person, ends[0]] - labels[person, ends[1]])
        guess = np.linalg.norm(points[person, ends[0]] - points[person, ends[1]])
        return float(guess if own < 1 else own)

    return _relative_to(problem, size)


_JOINTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")


def _of_joint(problem: DistanceProblem, joint: str) -> list[int]:
    names = list(problem.dataset.keypoints.keypoints)
    if joint == "head":
        return [names.index("head_top" if "head_top" in names else "head")]
    return [names.index(f"{side}_{joint}") for side in ("left", "right")]


def _pckh(problem: DistanceProblem, name: str) -> float:
    distance, threshold = (
        _field(problem, "head_size"),
        float(name.partition("@")[2].partition("(")[0]),
    )
    if "(" in name:
        joint = name.partition("(")[2].rstrip(")")
        return _mean_share(problem, distance, threshold, _of_joint(problem, joint))
    lists = [
        _values(problem, distance, keypoint)
        for keypoint, joint in enumerate(problem.dataset.keypoints.keypoints)
        if joint not in ("pelvis", "thorax")
    ]
    total = sum(map(len, lists))
    # Each joint weighs as much as it is labelled.
    weighted = [
        100 * _within(values, threshold) * len(values) / total for values in lists if values
    ]
    return sum(weighted) / 100 if total else -1


def _pck(problem: DistanceProblem, name: str) -> float:
    size, _, joint = name.partition("(")[2].rstrip(")").partition(", ")
    distance = {"person": _box, "torso": _torso}[size](problem)
    every = range(len(problem.dataset.keypoints))
    return _mean_share(problem, distance, 0.2, _of_joint(problem, joint) if joint else every)


def _mpck(problem: DistanceProblem, name: str) -> float:
    every = range(len(problem.dataset.keypoints))
    return _mean_share(problem, _box(problem), float(name.partition("@")[2]), every)


def _auc(problem: DistanceProblem, _: str) -> float:
    distance = _relative_to(problem, lambda _: 30.0)
    every = range(len(problem.dataset.keypoints))
    return sum(_mean_share(problem, distance, i / 20, every) / 20 for i in range(20))


def _epe(problem: DistanceProblem, _: str) -> float:
    return _mean_distance(problem, _relative_to(problem, lambda _: 1.0))


def _nme(problem: DistanceProblem, _: str) -> float:
    size = problem.distances.face_size
    assert size is not None
    distance = _box(problem) if size == "box" else _between(problem, *size)
    return _mean_distance(problem, distance)


_METRICS: dict[str, Callable[[DistanceProblem, str], float]] = {
    "PCKh@0.5": _pckh,
    "PCKh@0.1": _pckh,
    "PCK": _pck,
    **dict.fromkeys(("mPCK@0.05", "mPCK@0.1", "mPCK@0.2"), _mpck),
    "AUC": _auc,
    "EPE": _epe,
    "NME": _nme,
}
