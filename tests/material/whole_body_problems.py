"""Random whole bodies and results on them, and what xtcocotools says of each part."""

from __future__ import annotations

import contextlib
import copy
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pose_problems import AREAS, OFFSETS

from posebench.datasets.coco import ImageRecord, PoseDataset
from posebench.datasets.keypoints import KEYPOINT_SETS
from posebench.datasets.known.record import known_dataset
from posebench.scoring.official_crowdpose import import_xtcocotools

Row = dict[str, Any]
# Where the parts end among the 133 keypoints, by their field and the family that scores them.
PARTS = {
    "keypoints": (0, 17, "keypoints_body", "body"),
    "foot_kpts": (17, 23, "keypoints_foot", "foot"),
    "face_kpts": (23, 91, "keypoints_face", "face"),
    "lefthand_kpts": (91, 112, "keypoints_lefthand", "left hand"),
    "righthand_kpts": (112, 133, "keypoints_righthand", "right hand"),
}
PART_SCORES = ("foot_score", "face_score", "lefthand_score", "righthand_score", "wholebody_score")
STATS = ("AP", "AP50", "AP75", "AP(M)", "AP(L)", "AR", "AR50", "AR75", "AR(M)", "AR(L)")
SCORES = (0.0, 0.25, 0.5, 0.9)


@dataclass(frozen=True)
class WholeBodyProblem:
    """Images, and persons and results of 133 keypoints each."""

    images: list[Row]
    persons: list[Row]
    results: list[Row]

    @property
    def dataset(self) -> PoseDataset:
        records = tuple(ImageRecord(row["id"], Path("x.png"), 640, 480) for row in self.images)
        return PoseDataset(
            name="problem",
            kind="wholebody",
            annotations=Path("problem.json"),
            annotations_sha256="0" * 64,
            images=records,
            keypoints=KEYPOINT_SETS["coco-wholebody"],
            area_rule="annotation",
            raw={"images": self.images, "annotations": self.persons, "categories": CATEGORIES},
            known=known_dataset("coco-wholebody"),
        )


CATEGORIES = [{"id": 1, "name": "person"}]


def whole_body_problem(seed: int) -> WholeBodyProblem:
    """Return people who lack labels of some parts, and results with ties, some with boxes."""
    rng = np.random.default_rng(seed)
    boxed, has_part_scores = rng.random(2) < 0.5
    images = [{"id": int(key)} for key in rng.choice(50, rng.integers(1, 5), replace=False)]
    persons, results = list[Row](), list[Row]()
    for image in images:
        own = [_person(rng, image["id"]) for _ in range(rng.integers(0, 4))]
        persons += own
        for _ in range(rng.integers(0, 7)):
            row = _result(rng, image["id"], own)
            if boxed:
                row["bbox"] = [0.0, 0.0, *[float(np.sqrt(rng.choice(AREAS)))] * 2]
            if has_part_scores:
                named = (name for name in PART_SCORES if rng.random() < 0.8)
                row |= {name: float(rng.choice(SCORES)) for name in named}
            results.append(row)
    for number, row in enumerate(persons, start=1):
        row["id"] = number
    return WholeBodyProblem(images, persons, results)


def in_val_scale(images: int) -> WholeBodyProblem:
    """Return a problem of many images, with a few results for each person in varied distance."""
    rng = np.random.default_rng(9)
    records = [{"id": number} for number in range(1, images + 1)]
    persons, results = list[Row](), list[Row]()
    for image in records:
        own = [_person(rng, image["id"]) for _ in range(rng.integers(1, 5))]
        persons += own
        for person in own:
            points = np.reshape(person["keypoints"], (133, 3))[:, :2]
            near = points + rng.normal(size=(133, 2)) * rng.uniform(0.1, 8)
            scores = rng.uniform(0.05, 1, (133, 1))
            triplets = np.hstack([near, scores]).ravel().tolist()
            results.append(
                {
                    "image_id": image["id"],
                    "category_id": 1,
                    "keypoints": triplets,
                    "score": float(rng.random()),
                }
            )
        results.append(_result(rng, image["id"], own))
    for number, row in enumerate(persons, start=1):
        row["id"] = number
    return WholeBodyProblem(records, persons, results)


def _person(rng: np.random.Generator, image: int) -> Row:
    corner, size = rng.integers(0, 200, 2), rng.integers(1, 160, 2)
    points = corner + rng.integers(0, 9, (133, 2)) * size / 8
    flags = rng.choice([0, 1, 2], 133)
    for first, last, *_ in PARTS.values():
        if rng.random() < 0.3:
            flags[first:last] = 0
    return {
        "image_id": image,
        "category_id": 1,
        "bbox": [*corner.tolist(), *size.tolist()],
        "area": float(rng.choice(AREAS)),
        "iscrowd": int(rng.random() < 0.15),
        "keypoints": np.c_[points, flags].ravel().tolist(),
        "num_keypoints": int(np.count_nonzero(flags[:17])),
    }


def _result(rng: np.random.Generator, image: int, persons: list[Row]) -> Row:
    if persons and rng.random() < 0.85:
        near = np.reshape(persons[rng.integers(len(persons))]["keypoints"], (-1, 3))[:, :2]
        points = near + rng.choice(OFFSETS, (133, 1))
    else:
        points = rng.integers(0, 300, (133, 2)).astype(float)
    scores = rng.choice([0.0, 0.7], (133, 1))
    for first, last, *_ in PARTS.values():
        if rng.random() < 0.2:
            scores[first:last] = 0
    return {
        "image_id": image,
        "category_id": 1,
        "keypoints": np.hstack([points, scores]).ravel().tolist(),
        "score": float(rng.choice(SCORES)),
    }


def in_official_layout(rows: list[Row]) -> list[Row]:
    """Return rows with a list for each part, as COCO-WholeBody's files have them."""
    return [
        {
            **row,
            **{name: row["keypoints"][3 * a : 3 * b] for name, (a, b, *_) in PARTS.items()},
        }
        for row in rows
    ]


def xtcocotools_says_of_parts(problem: WholeBodyProblem) -> dict[str, float]:
    """Return the ten numbers of the whole and of each part, by posebench's names; -1 for none."""
    from pycocotools.coco import COCO

    module = import_xtcocotools()
    sigmas = np.array(KEYPOINT_SETS["coco-wholebody"].sigmas)
    families = [("keypoints_wholebody", sigmas, "")]
    families += [(family, sigmas[a:b], part) for a, b, family, part in PARTS.values()]
    found = dict[str, float]()
    for family, constants, part in families:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # not every result has the part's score
            truth = COCO()
            truth.dataset = {
                "images": copy.deepcopy(problem.images),
                "annotations": in_official_layout(copy.deepcopy(problem.persons)),
                "categories": CATEGORIES,
            }
            truth.createIndex()
            detected = COCO()
            detected.dataset = {**truth.dataset, "annotations": []}
            detected.createIndex()
            if problem.results:
                detected = truth.loadRes(in_official_layout(copy.deepcopy(problem.results)))
            truth.anno_file = detected.anno_file = [None, None]
            evaluation = module.COCOeval(truth, detected, family, constants)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        names = STATS if not part else [_of_part(name, part) for name in STATS]
        found |= dict(zip(names, map(float, evaluation.stats), strict=True))
    return found


def _of_part(name: str, part: str) -> str:
    kind, _, area = name.partition("(")
    return f"{kind}({part}, {area}" if area else f"{kind}({part})"
