"""Differences of predictions, against distances worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from posebench.errors import EvaluationError
from posebench.prediction.predictions import Predictions
from posebench.results.speed import Parity
from posebench.running.bench.parity import parity_of


def predictions(count: int = 2, joints: int = 2) -> Predictions:
    return Predictions(
        image_ids=np.arange(count, dtype=np.int64),
        ids=np.arange(count, dtype=np.int64),
        keypoints=np.full((count, joints, 2), 10.0),
        keypoint_scores=np.full((count, joints), 0.5, dtype=np.float32),
        bbox_xyxy=np.zeros((count, 4), dtype=np.float32),
        bbox_scores=np.ones(count, dtype=np.float32),
        areas=np.ones(count, dtype=np.float32),
    )


def test_the_largest_distance_and_the_share_that_moved() -> None:
    keypoints, scores = np.full((2, 2, 2), 10.0), np.full((2, 2), 0.5, dtype=np.float32)
    keypoints[1, 0] += (3.0, -4.0)  # 5 pixels away
    keypoints[0, 1] += (0.0, 0.1)  # not further than a tenth of a pixel
    scores[0, 0] = 0.25
    other = replace(predictions(), keypoints=keypoints, keypoint_scores=scores)
    assert parity_of(predictions(), other, ap=0.5) == Parity(5.0, 0.25, 0.25, 0.5)


def test_no_difference() -> None:
    assert parity_of(predictions(), predictions(), ap=None) == Parity(0.0, 0.0, 0.0, None)


@pytest.mark.parametrize(
    "other", [predictions(3), predictions(joints=3), replace(predictions(), ids=np.array([1, 0]))]
)
def test_other_instances_are_refused(other: Predictions) -> None:
    with pytest.raises(EvaluationError, match="cannot be compared"):
        parity_of(predictions(), other, ap=None)
