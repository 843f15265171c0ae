"""Small random scoring problems, and what pycocotools and xtcocotools say about them."""

from __future__ import annotations

import contextlib
import copy
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from posebench.datasets.choices import AreaRule, Kind
from posebench.datasets.coco import ImageRecord, PoseDataset
from posebench.datasets.keypoints import KeypointSet
from posebench.scoring.official_crowdpose import import_xtcocotools

Row = dict[str, Any]
# Both ends of the medium range, and areas a hair beyond them.
AREAS = (60.0, 1023.999, 1024.0, 3000.0, 9216.0, 9216.001, 40000.0)
OFFSETS = (0.0, 0.0, 0.5, 1.0, 3.0, 8.0, 30.0)


@dataclass(frozen=True)
class Problem:
    """Annotations as COCO dicts, results as COCO dicts, and the data set's keypoints."""

    images: list[Row]
    persons: list[Row]
    results: list[Row]
    keypoints: KeypointSet

    def dataset(self, kind: Kind, area_rule: AreaRule) -> PoseDataset:
        return PoseDataset(
            name="problem",
            kind=kind,
            annotations=Path("problem.json"),
            annotations_sha256="0" * 64,
            images=tuple(ImageRecord(row["id"], Path("x.png"), 640, 480) for row in self.images),
            keypoints=self.keypoints,
            area_rule=area_rule,
            raw={
                "images": self.images,
                "annotations": self.persons,
                "categories": [{"id": 1, "name": "person"}],
            },
        )


def duplicated(problem: Problem, counts: dict[int, int]) -> Problem:
    """Return the problem with each image, its persons and its results as often as counted."""
    images: list[Row] = []
    persons: list[Row] = []
    results: list[Row] = []
    for image in problem.images:
        for number in range(counts[image["id"]]):
            key = 1000 * image["id"] + number
            images.append({**image, "id": key})
            for rows, copies in ((problem.persons, persons), (problem.results, results)):
                own = [row for row in rows if row["image_id"] == image["id"]]
                copies += [{**copy.deepcopy(row), "image_id": key} for row in own]
    for number, row in enumerate(persons, start=1):
        row["id"] = number
    return replace(problem, images=images, persons=persons, results=results)


@st.composite
def problems(draw: st.DrawFn, max_images: int = 4) -> Problem:
    """Draw images with persons and detections near them: ties, crowds, empties, no labels."""
    joints = draw(st.sampled_from((1, 2, 3, 9, 17)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sigmas = tuple(rng.choice([0.025, 0.05, 0.1, 0.3], joints).tolist())
    keypoints = KeypointSet("own", tuple(f"k{i}" for i in range(joints)), sigmas, ())
    boxed = draw(st.booleans())
    ids = draw(st.lists(st.integers(1, 50), min_size=1, max_size=max_images, unique=True))
    images = [{"id": key, "crowdIndex": float(rng.choice([0.05, 0.2, 0.5, 0.8, 2]))} for key in ids]
    persons: list[Row] = []
    results: list[Row] = []
    for key in ids:
        count = draw(st.integers(0, 4))
        own = [_person(rng, key, joints) for _ in range(count)]
        if draw(st.booleans()):  # people who cannot be told apart
            own += copy.deepcopy(own[:2])
        persons += own
        found = draw(st.integers(0, 7))
        scores = rng.choice([0.0, 0.25, 0.5, 0.9], found)
        results += [_result(rng, key, own, joints, float(score)) for score in scores]
    order = rng.permutation(len(results))
    results = [results[index] for index in order]
    if not boxed:
        for row in results:
            del row["bbox"]
    rng.shuffle(persons)
    for number, row in enumerate(persons, start=1):
        row["id"] = number
    return Problem(images, persons, results, keypoints)


def _person(rng: np.random.Generator, image: int, joints: int) -> Row:
    corner, size = rng.integers(0, 200, 2), rng.integers(1, 160, 2)
    points = corner + rng.integers(0, 9, (joints, 2)) * size / 8
    flags = rng.choice([0, 1, 2], joints) if rng.random() < 0.8 else np.zeros(joints)
    # CrowdPose counts by rules of its own: the count need not be that of the flags.
    count = int(np.count_nonzero(flags)) if rng.random() < 0.8 else int(rng.integers(0, 2))
    return {
        "image_id": image,
        "category_id": 1,
        "bbox": [*corner.tolist(), *size.tolist()],
        "area": float(rng.choice(AREAS)),
        "iscrowd": int(rng.random() < 0.15),
        "keypoints": np.c_[points, flags].ravel().tolist(),
        "num_keypoints": count,
    }


def _result(
    rng: np.random.Generator, image: int, persons: list[Row], joints: int, score: float
) -> Row:
    if persons and rng.random() < 0.85:
        near = persons[rng.integers(len(persons))]["keypoints"]
        points = np.reshape(near, (-1, 3))[:, :2] + rng.choice(OFFSETS)
    else:
        points = rng.integers(0, 300, (joints, 2)).astype(float)
    point_scores = (
        rng.choice([0.0, 0.7], (joints, 1)) if rng.random() < 0.8 else -np.ones((joints, 1))
    )
    side = float(np.sqrt(rng.choice(AREAS)))
    return {
        "image_id": image,
        "category_id": 1,
        "keypoints": np.hstack([points, point_scores]).ravel().tolist(),
        "score": score,
        "bbox": [0.0, 0.0, side, side],
    }


@dataclass(frozen=True)
class Verdict:
    """An oracle's arrays, with axes as `Curves` has them, and the numbers of its summary."""

    precision: np.ndarray
    recall: np.ndarray
    scores: np.ndarray
    stats: list[float]


def pycocotools_says(
    problem: Problem, max_detections: int = 20, *, area_rule: AreaRule = "annotation"
) -> Verdict:
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(*_coco_objects(problem, area_rule), "keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(problem.keypoints.sigmas)
        evaluation.params.maxDets = [max_detections]
        evaluation.evaluate()
        evaluation.accumulate()
        if max_detections == 20:
            evaluation.summarize()
    return _verdict(evaluation)


def xtcocotools_says(problem: Problem, *, area_rule: AreaRule = "box") -> Verdict:
    """Return its arrays of all images; its summary (which overwrites them) is left out."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = _coco_objects(problem, "annotation")
        truth.anno_file = ["", None]
        evaluation = import_xtcocotools().COCOeval(
            truth,
            found,
            "keypoints_crowd",
            np.array(problem.keypoints.sigmas),
            use_area=area_rule == "annotation",
        )
        evaluation.evaluate()
        evaluation.accumulate()
    return _verdict(evaluation)


def _verdict(evaluation: Any) -> Verdict:
    arrays = evaluation.eval
    return Verdict(
        precision=arrays["precision"][:, :, 0, :, 0],
        recall=arrays["recall"][:, 0, :, 0],
        scores=arrays["scores"][:, :, 0, :, 0],
        stats=list(evaluation.stats),
    )


def _coco_objects(problem: Problem, area_rule: AreaRule) -> tuple[Any, Any]:
    from pycocotools.coco import COCO

    truth = COCO()
    persons = copy.deepcopy(problem.persons)
    if area_rule == "box":
        for row in persons:
            row["area"] = 0.53 * (row["bbox"][2] * row["bbox"][3])
    categories = [{"id": 1, "name": "person"}]
    truth.dataset = {
        "images": copy.deepcopy(problem.images),
        "annotations": persons,
        "categories": categories,
    }
    truth.createIndex()
    if problem.results:
        return truth, truth.loadRes(copy.deepcopy(problem.results))
    nothing = COCO()
    nothing.dataset = {**truth.dataset, "annotations": []}
    nothing.createIndex()
    return truth, nothing
