"""Resampled errors against duplicated images, and differences that are known."""

from __future__ import annotations

import numpy as np
import pytest
from small_scenes import detected, persons, shifts

from posebench.datasets.keypoints import COCO
from posebench.errors import EvaluationError
from posebench.scoring.diagnosis.corrections import ERROR_TYPES
from posebench.scoring.diagnosis.diagnosis import COUNTED, diagnose, error_costs
from posebench.scoring.diagnosis.diagnosis_intervals import (
    error_differences,
    error_estimates,
    resample_errors,
)
from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.truth import GroundTruth
from posebench.scoring.statistics.bootstrap import resampled_images

IMAGES = 12
FAR = np.array([0.0, -4000.0])


def scene(seed: int, misses: int) -> tuple[GroundTruth, Detections]:
    """Return two persons for each image, one of them with some keypoints missed."""
    rng = np.random.default_rng(seed)
    truth = persons(*np.repeat(np.arange(IMAGES), 2).tolist())
    points = truth.keypoints + rng.uniform(0.6, 1, (2 * IMAGES, 1, 1)) * shifts(0.8)
    for image in range(IMAGES):
        points[2 * image, rng.permutation(17)[:misses]] += FAR
    kept = rng.random(2 * IMAGES) < 0.9
    scores = rng.permutation(2 * IMAGES) / (2 * IMAGES)
    return truth, detected(truth, points, scores.tolist()).subset(kept)


def test_replicates_are_those_of_duplicated_images() -> None:
    truth, detections = scene(0, 4)
    diagnosis = diagnose(truth, detections, COCO.flip_indices)
    sampled = resample_errors([diagnosis], 3, np.random.default_rng(5))
    (weights,) = resampled_images(np.random.default_rng(5), IMAGES, 3)
    for replicate, weight in enumerate(weights):
        again = diagnose(*_repeated(truth, detections, weight), COCO.flip_indices)
        shares = again.counts.counts.sum(axis=0) / again.counts.out_of.sum(axis=0)
        np.testing.assert_allclose(sampled.share_replicates[0, replicate], shares, atol=1e-12)
        gains = [cost.alone for cost in error_costs(again)]
        np.testing.assert_allclose(sampled.regained_replicates[0, replicate], gains, atol=1e-12)


def _repeated(
    truth: GroundTruth, detections: Detections, weights: np.ndarray
) -> tuple[GroundTruth, Detections]:
    """Return images as often as their weight says, each a new image of its own."""
    chosen = np.repeat(np.arange(IMAGES), weights)
    rows = [np.flatnonzero(truth.image == image) for image in chosen]
    new_image = np.repeat(np.arange(len(chosen)), [len(group) for group in rows])
    flat = np.concatenate(rows)
    again = GroundTruth(
        image_ids=np.arange(len(chosen)),
        crowd_index=None,
        sigmas=truth.sigmas,
        ids=np.arange(len(flat)) + 1,
        image=new_image,
        keypoints=truth.keypoints[flat],
        visibility=truth.visibility[flat],
        bbox_xywh=truth.bbox_xywh[flat],
        areas=truth.areas[flat],
        crowd=truth.crowd[flat],
        ignored=truth.ignored[flat],
    )
    where = truth.locate(detections.image_ids)
    found = [np.flatnonzero(where == image) for image in chosen]
    copies = detections.subset(np.concatenate(found))
    owners = np.repeat(np.arange(len(chosen)), [len(group) for group in found])
    return again, Detections(
        owners, copies.keypoints, copies.keypoint_scores, copies.scores, copies.areas
    )


def test_a_model_does_not_differ_from_itself() -> None:
    truth, detections = scene(1, 3)
    diagnosis = diagnose(truth, detections, COCO.flip_indices)
    sampled = resample_errors([diagnosis, diagnosis], 50, np.random.default_rng(0))
    found = error_differences(sampled)
    assert list(found.shares) == list(COUNTED) and list(found.regained) == list(ERROR_TYPES)
    for difference in (*found.shares.values(), *found.regained.values()):
        assert (difference.value, difference.interval, difference.p_holm) == (0, (0, 0), 1)


def test_only_what_differs_differs() -> None:
    truth, few = scene(2, 2)
    _, many = scene(2, 7)
    models = [diagnose(truth, model, COCO.flip_indices) for model in (few, many)]
    sampled = resample_errors(models, 200, np.random.default_rng(0))
    found = error_differences(sampled)
    miss = found.shares["miss"]
    assert miss.value is not None and miss.interval is not None and miss.p_holm is not None
    assert 0 < miss.interval[0] < miss.value < miss.interval[1]
    assert miss.p_holm < 0.1
    assert found.shares["inversion"].value == 0 == found.shares["false negative"].value
    back = error_differences(sampled, baseline=1, candidate=0).shares["miss"]
    assert back.value == pytest.approx(-miss.value)
    alone = error_estimates(sampled, 1).shares["miss"]
    assert alone.interval is not None and alone.value is not None
    assert alone.interval[0] < alone.value < alone.interval[1]


def test_models_of_other_images_do_not_compare() -> None:
    models = [
        diagnose(truth, detected(truth, truth.keypoints, [1.0]), COCO.flip_indices)
        for truth in (persons(0), persons(1))
    ]
    with pytest.raises(EvaluationError, match="same images"):
        resample_errors(models, 5, np.random.default_rng(0))
