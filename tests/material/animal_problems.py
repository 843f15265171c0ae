"""Small random files in AP-10K's layout, several species in an image, and predictions on them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from posebench.datasets.coco import PoseDataset, ground_truth_instances, load_dataset
from posebench.datasets.known.record import known_dataset
from posebench.datasets.rules import LoadOptions
from posebench.errors import DataError
from posebench.prediction.predictions import Predictions

SPECIES = (1, 5, 26, 40)
_KEYPOINTS = 17


@dataclass(frozen=True)
class AnimalProblem:
    """An annotation file, and what a network answered for its animals."""

    path: Path
    dataset: PoseDataset
    predictions: Predictions


def animal_problem(folder: Path, seed: int) -> AnimalProblem:
    """Write a random file and return it with predictions near its labels."""
    path = folder / f"{seed}.json"
    rng = np.random.default_rng(seed)
    raw: dict[str, Any] = {
        "images": [
            {"id": 10 + 3 * i, "file_name": f"{i}.jpg", "width": 640, "height": 480}
            for i in range(int(rng.integers(1, 5)))
        ],
        "categories": [{"id": key, "name": f"species {key}"} for key in (*SPECIES, 54)],
    }
    raw["annotations"] = [
        row for image in raw["images"] for row in _animals(rng, image["id"], 100 * image["id"])
    ]
    path.write_text(json.dumps(raw))
    options = LoadOptions(known=known_dataset("ap10k"))
    try:
        dataset = load_dataset(path, folder, options)
        ground_truth_instances(dataset)
    except DataError:  # nobody has a labelled keypoint
        return animal_problem(folder, seed + 100_000)
    return AnimalProblem(path, dataset, _predictions(rng, dataset))


def _animals(rng: np.random.Generator, image: int, first: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number in range(int(rng.integers(0, 5))):
        if rows and rng.random() < 0.4:  # another species in the same place
            row = {**rows[-1], "category_id": int(rng.choice(SPECIES))}
        else:
            x, y, w, h = rng.uniform([5, 5, 20, 20], [200, 200, 300, 200]).tolist()
            points = [x, y] + rng.uniform(0, 1, (_KEYPOINTS, 2)) * [w, h]
            flags = rng.choice([0, 1, 2], _KEYPOINTS, p=[0.2, 0.3, 0.5])
            flat = np.c_[np.where(flags[:, None] > 0, points, 0), flags].ravel().tolist()
            row = {"bbox": [x, y, w, h], "area": w * h, "keypoints": flat, "iscrowd": 0,
                   "num_keypoints": int((flags > 0).sum()), "image_id": image,
                   "category_id": int(rng.choice(SPECIES))}  # fmt: skip
        rows.append({**row, "id": first + number})
    return rows


def _predictions(rng: np.random.Generator, dataset: PoseDataset) -> Predictions:
    truth = ground_truth_instances(dataset)
    assert truth.keypoints is not None
    corners = truth.bbox_xyxy
    noise = rng.choice([0.0, 1.0, 6.0, 25.0], len(truth))[:, None, None]
    keypoints = truth.keypoints[..., :2] + noise * rng.normal(size=(len(truth), _KEYPOINTS, 2))
    width, height = (corners[:, 2:] - corners[:, :2]).T * 1.25
    return Predictions(
        image_ids=np.array([dataset.images[i].id for i in truth.image_index]),
        ids=truth.ids,
        keypoints=keypoints.astype(np.float32),
        keypoint_scores=rng.uniform(0.1, 1, (len(truth), _KEYPOINTS)).astype(np.float32),
        bbox_xyxy=corners,
        bbox_scores=truth.bbox_scores,
        areas=(width * height).astype(np.float32),
    )
