"""Localisation error in cases whose distances are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posebench.datasets.coco import ImageRecord, PoseDataset
from posebench.datasets.keypoints import KeypointSet
from posebench.prediction.predictions import Predictions
from posebench.scoring.localisation import (
    Localisation,
    localise,
    median_error,
    share_by_keypoint,
    share_within,
)

PAIR = KeypointSet("pair", ("a", "b"), (0.1, 0.1), ())


def dataset(*rows: dict[str, Any]) -> PoseDataset:
    images = tuple(ImageRecord(i, Path(f"{i}.png"), 500, 500) for i in (1, 2))
    return PoseDataset(
        name="pairs",
        kind="coco",
        annotations=Path("a.json"),
        annotations_sha256="",
        images=images,
        keypoints=PAIR,
        area_rule="annotation",
        raw={"images": [], "annotations": list(rows)},
    )


def person(points: list[float], image: int = 1, **changes: Any) -> dict[str, Any]:
    row = {
        "id": 1,
        "image_id": image,
        "category_id": 1,
        "bbox": [0, 0, 50, 100],
        "area": 5000.0,
        "num_keypoints": 2,
        "keypoints": points,
    }
    return {**row, **changes}


def predict(*poses: Sequence[Sequence[float]], image: int = 1) -> Predictions:
    count = len(poses)
    return Predictions(
        image_ids=np.full(count, image),
        ids=np.arange(count),
        keypoints=np.array(poses, np.float32).reshape(count, 2, 2),
        keypoint_scores=np.ones((count, 2), np.float32),
        bbox_xyxy=np.zeros((count, 4), np.float32),
        bbox_scores=np.ones(count, np.float32),
        areas=np.ones(count, np.float32),
    )


def pck(found: Localisation) -> list[float]:
    return [share_within(found, threshold) for threshold in (0.05, 0.1, 0.2)]


def test_distances_are_over_the_longer_side() -> None:
    found = localise(dataset(person([10, 10, 2, 20, 20, 1])), predict([[10, 15], [26, 28]]))
    assert pck(found) == [0.5, 1.0, 1.0]
    assert median_error(found) == pytest.approx(0.075)
    assert share_by_keypoint(found) == {"a": 1.0, "b": 1.0}


def test_unlabelled_keypoints_crowds_and_empty_boxes_do_not_count() -> None:
    rows = [
        person([10, 10, 2, 0, 0, 0], num_keypoints=1),
        person([10, 10, 2, 20, 20, 2], iscrowd=1),
        person([10, 10, 2, 20, 20, 2], num_keypoints=0),
        person([10, 10, 2, 20, 20, 2], bbox=[0, 0, 0, 0]),
    ]
    found = localise(dataset(*rows), predict([[10, 10], [300, 300]]))
    assert (found.errors.tolist(), share_within(found, 0.05)) == ([0.0], 1.0)
    assert share_by_keypoint(found) == {"a": 1.0, "b": None}


def test_the_prediction_of_best_oks_is_taken() -> None:
    near, far = [[12, 10], [20, 22]], [[200, 200], [210, 210]]
    truth = dataset(person([10, 10, 2, 20, 20, 2]), person([200, 203, 2, 210, 213, 2]))
    assert median_error(localise(truth, predict(far, near))) == pytest.approx(0.025)


def test_where_every_oks_is_zero_the_nearest_is_taken() -> None:
    truth = dataset(person([10, 10, 2, 20, 20, 2], area=1e-3))
    found = localise(truth, predict([[400, 10], [420, 20]], [[10, 25], [20, 35]]))
    assert median_error(found) == pytest.approx(0.15)


def test_a_person_without_prediction_is_a_miss() -> None:
    truth = dataset(person([10, 10, 2, 20, 20, 2]), person([10, 10, 2, 20, 20, 2], image=2))
    found = localise(truth, predict([[10, 10], [20, 20]]))
    assert (share_within(found, 0.2), median_error(found)) == (0.5, None)
    nothing = localise(truth, predict())
    assert (share_within(nothing, 0.2), median_error(nothing)) == (0.0, None)


def test_nobody_labelled() -> None:
    found = localise(dataset(), predict([[1, 1], [2, 2]]))
    assert (len(found.errors), share_within(found, 0.2), median_error(found)) == (0, 0.0, None)
