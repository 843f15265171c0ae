"""Rescoring, OKS-NMS, grouping and results files, against plain loops over one pose at a time."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from posebench.datasets.keypoints import COCO
from posebench.errors import DataError, EvaluationError
from posebench.prediction.predictions import Predictions, check_finite, group_by_image
from posebench.scoring.matching.detections import result_columns
from posebench.scoring.nms import _one_by_one, apply_nms, oks_nms, soft_oks_nms
from posebench.scoring.rescoring import rescore
from posebench.scoring.results_json import chosen_columns, read_coco_results, to_coco_results

SIGMAS = np.asarray(COCO.sigmas, dtype=np.float32)


def predictions(count: int, seed: int = 0, joints: int = 17) -> Predictions:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 50, (count, 4)).astype(np.float32)
    corners[:, 2:] += corners[:, :2] + 20
    return Predictions(
        image_ids=rng.integers(5, 8, count),
        ids=np.arange(count),
        keypoints=rng.uniform(0, 90, (count, joints, 2)).astype(np.float32),
        keypoint_scores=rng.uniform(0, 1, (count, joints)).astype(np.float32),
        bbox_xyxy=corners,
        bbox_scores=rng.uniform(0, 1, count).astype(np.float32),
        areas=rng.uniform(900, 2000, count).astype(np.float32),
    )


def test_bbox_keypoint_rescoring_by_hand() -> None:
    keypoint_scores = np.array([[0.2, 0.4, 0.9], [0.1, 0.2, 0.0], [1.5, 0.5, -2.0]], np.float32)
    scores = rescore("bbox_keypoint", np.array([0.5, 0.9, 1.0], np.float32), keypoint_scores)
    assert scores == pytest.approx([0.5 * 0.65, 0.0, 1.0], abs=1e-7)


def test_the_other_rescorings_by_hand() -> None:
    keypoint_scores = np.array([[0.25, 0.5, 0.75], [0.0, 0.0, 0.375]], np.float32)
    boxes = np.array([0.5, 0.25], np.float32)
    assert rescore("bbox", boxes, keypoint_scores).tolist() == [0.5, 0.25]
    assert rescore("keypoint", boxes, keypoint_scores).tolist() == [0.5, 0.125]
    assert rescore("bbox_rle", boxes, keypoint_scores).tolist() == [1.75, 0.75]
    raised = rescore("bbox_keypoint", boxes, keypoint_scores, threshold=0.6)
    assert raised.tolist() == [0.375, 0.0]


def _oks(a: NDArray[Any], b: NDArray[Any], area_a: float, area_b: float) -> float:
    total = 0.0
    for (xa, ya), (xb, yb), sigma in zip(a, b, COCO.sigmas, strict=True):
        squared = (xa - xb) ** 2 + (ya - yb) ** 2
        total += math.exp(-squared / ((2 * sigma) ** 2 * (area_a + area_b)))
    return total / len(a)


def _crowd(count: int, seed: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return poses around a few centres, many of them near-duplicates."""
    rng = np.random.default_rng(seed)
    shape = rng.uniform(0, 80, (17, 2))
    offsets = rng.choice([0.0, 200.0, 400.0], count)[:, None, None]
    keypoints = shape + offsets + rng.normal(0, 1, (count, 17, 2))
    return keypoints.astype(np.float32), rng.uniform(0, 1, count), rng.uniform(3e3, 6e3, count)


@pytest.mark.parametrize("count", [0, 1, 2, 25, 120])
@pytest.mark.parametrize("threshold", [0.3, 0.9, 1.0])
def test_hard_nms_of_all_pairs_at_once_is_that_of_one_pose_after_the_other(
    count: int, threshold: float
) -> None:
    keypoints, scores, areas = _crowd(count, 5)
    scores = scores.round(1)  # so that several are equal
    if count > 2:
        keypoints[1] = np.nan
    order = np.argsort(scores, kind="stable")[::-1].astype(np.int64)
    expected = _one_by_one(order, keypoints, areas, SIGMAS, threshold)
    found = oks_nms(keypoints, scores, areas, SIGMAS, threshold)
    assert found.dtype == expected.dtype
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("seed", range(4))
def test_hard_nms_keeps_what_no_better_kept_pose_covers(seed: int) -> None:
    keypoints, scores, areas = _crowd(25, seed)
    kept: list[int] = []
    for pose in sorted(range(25), key=lambda index: -scores[index]):
        overlaps = [_oks(keypoints[pose], keypoints[k], areas[pose], areas[k]) for k in kept]
        if all(overlap <= 0.9 for overlap in overlaps):
            kept.append(pose)
    assert oks_nms(keypoints, scores, areas, SIGMAS, 0.9).tolist() == kept
    assert 3 <= len(kept) < 25


@pytest.mark.parametrize("seed", range(4))
def test_soft_nms_takes_the_best_of_the_decayed_scores(seed: int) -> None:
    keypoints, scores, areas = _crowd(25, seed)
    left = dict(enumerate(scores.tolist()))
    expected: list[int] = []
    while left and len(expected) < 20:
        best = max(left, key=lambda index: left[index])
        del left[best]
        expected.append(best)
        for other in left:
            oks = _oks(keypoints[best], keypoints[other], areas[best], areas[other])
            left[other] *= math.exp(-(oks**2) / 0.9)
    assert soft_oks_nms(keypoints, scores, areas, SIGMAS, 0.9).tolist() == expected


def test_of_equal_scores_the_last_wins() -> None:
    keypoints = np.zeros((3, 17, 2), np.float32)
    assert oks_nms(
        keypoints, np.array([0.5, 0.5, 0.5], np.float32), np.full(3, 99.0), SIGMAS
    ).tolist() == [2]


def test_no_nms_and_bad_thresholds() -> None:
    keypoints, scores, areas = _crowd(4, 0)
    assert apply_nms("none", keypoints, scores, areas, SIGMAS, 7).tolist() == [0, 1, 2, 3]
    with pytest.raises(EvaluationError, match="threshold of 0"):
        apply_nms("hard", keypoints, scores, areas, SIGMAS, 0)


def test_images_in_order_of_appearance_and_ids_once() -> None:
    groups = group_by_image(np.array([9, 2, 9, 2, 9]), np.array([4, 8, 1, 7, 4]))
    assert [rows.tolist() for rows in groups] == [[2, 0], [3, 1]]
    assert group_by_image(np.zeros(0, np.int64), np.zeros(0, np.int64)) == []


def test_results_round_trip(tmp_path: Path) -> None:
    made = predictions(6)
    results = to_coco_results(made, np.arange(6) / 8, np.array([4, 0]))
    assert [row["score"] for row in results] == [0.5, 0.0]
    assert results[0]["image_id"] == made.image_ids[4]
    assert set(results[0]) == {"image_id", "category_id", "keypoints", "score", "bbox"}
    triplets = np.float32(results[0]["keypoints"]).reshape(17, 3)
    np.testing.assert_array_equal(triplets[:, :2], made.keypoints[4])
    np.testing.assert_array_equal(triplets[:, 2], made.keypoint_scores[4])
    x, y, w, h = results[0]["bbox"]
    assert [x, y, x + w, y + h] == pytest.approx(made.bbox_xyxy[4].tolist(), abs=1e-5)
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))
    assert read_coco_results(path, 17) == results


def test_results_without_a_choice_hold_every_instance_once() -> None:
    made = predictions(6)
    results = to_coco_results(made, made.bbox_scores)
    assert sorted(row["score"] for row in results) == sorted(made.bbox_scores.tolist())
    assert to_coco_results(predictions(0), np.zeros(0)) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: {"annotations": rows}, "does not hold a list"),
        (lambda rows: [rows[0], {**rows[1], "score": None}], "entry 1"),
        (lambda rows: [{**rows[0], "keypoints": [1.0] * 50}], "entry 0"),
        (lambda rows: [{**rows[0], "keypoints": [float("nan")] * 51}], "entry 0"),
        (lambda rows: [rows[0], {k: rows[1][k] for k in rows[1] if k != "bbox"}], "Only 1 of 2"),
    ],
)
def test_bad_results_files(tmp_path: Path, change: Any, message: str) -> None:
    made = predictions(2)
    path = tmp_path / "results.json"
    path.write_text(json.dumps(change(to_coco_results(made, made.bbox_scores))))
    with pytest.raises(DataError, match=message):
        read_coco_results(path, 17)


def test_shapes_and_nans_are_caught() -> None:
    made = predictions(3)
    parts = {name: getattr(made, name) for name in made.__dataclass_fields__}
    with pytest.raises(EvaluationError, match="keypoint_scores"):
        Predictions(**{**parts, "keypoint_scores": np.zeros((3, 16))})
    made.keypoints[2, 5, 1] = np.nan
    with pytest.raises(EvaluationError, match=f"1 of 3 .* image {made.image_ids[2]}"):
        check_finite(made)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_columns_of_chosen_predictions_are_those_of_their_rows(dtype: Any) -> None:
    made = predictions(9)
    made = replace(made, keypoints=made.keypoints.astype(dtype) / 3)
    scores, keep = np.arange(9, dtype=np.float32) / 7, np.array([4, 0, 8])
    found = chosen_columns(made, scores, keep, 3)
    expected = result_columns(to_coco_results(made, scores, keep, 3), 17)
    assert expected is not None and found.bbox_xywh is not None
    np.testing.assert_array_equal(found.category_ids, expected.category_ids)
    np.testing.assert_array_equal(found.bbox_xywh, expected.bbox_xywh)
    for name in ("image_ids", "keypoints", "keypoint_scores", "scores", "areas"):
        one, other = (getattr(each.detections, name) for each in (found, expected))
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
