"""Calibration errors by image weights against images that really stand several times."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from numpy.typing import NDArray
from pose_problems import Problem, duplicated, problems
from small_scenes import detected, persons, shifts

from posebench.scoring.diagnosis.confidence import BINS, calibration, counted_oks
from posebench.scoring.diagnosis.keypoint_errors import found_persons
from posebench.scoring.matching.detections import Detections, detections_from_results
from posebench.scoring.matching.matching import MatchRules, match
from posebench.scoring.matching.truth import GroundTruth, ground_truth
from posebench.scoring.metrics import calibration_metrics
from posebench.scoring.statistics.image_table import CalibrationMetric, ImageTable
from posebench.scoring.statistics.weighted_calibration import calibration_values

ECE = (CalibrationMetric("ECE", BINS),)
RULES = MatchRules(drop_unscored=True)


def columns(problem: Problem) -> tuple[GroundTruth, Detections]:
    found = detections_from_results(problem.results, len(problem.keypoints))
    assert found is not None
    return ground_truth(problem.dataset("coco", "annotation")), found


def table_of(truth: GroundTruth, detections: Detections) -> ImageTable:
    oks = counted_oks(truth, detections, RULES).astype(np.float32)
    return ImageTable(match(truth, detections, RULES), oks=oks)


def values_of(table: ImageTable, *weights: list[int]) -> NDArray[np.float64]:
    return calibration_values([table], ECE)(np.array(weights, dtype=np.int32))[0, :, 0]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems(), st.data())
def test_weights_are_literal_copies(problem: Problem, data: st.DataObject) -> None:
    truth, detections = columns(problem)
    ids = truth.image_ids.tolist()
    counts = data.draw(st.lists(st.integers(0, 3), min_size=len(ids), max_size=len(ids)))
    weights = [[1] * len(ids), counts]
    for value, copies in zip(
        values_of(table_of(truth, detections), *weights), weights, strict=True
    ):
        again = duplicated(problem, dict(zip(ids, copies, strict=True)))
        if not again.results:
            assert np.isnan(value)
            continue
        pair = columns(again)
        said = calibration(*pair, found_persons(*pair, RULES)).ece
        assert value == pytest.approx(np.nan if said is None else said, abs=1e-6, nan_ok=True)


def test_gaps_cancel_within_a_bin_over_all_images() -> None:
    truth = persons(0, 1, 2)
    points = truth.keypoints + np.stack([shifts(0.9), shifts(0.6), shifts(0.6)])
    # Gaps of -0.18 and 0.18 in one bin, and of 0.25 in another.
    table = table_of(truth, detected(truth, points, [0.72, 0.78, 0.85]))
    found = values_of(table, [1, 1, 1], [1, 0, 0], [2, 1, 0], [1, 1, 2], [0, 0, 0])
    expected = [0.25 / 3, 0.18, 0.18 / 3, 2 * 0.25 / 4, np.nan]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert calibration_metrics(table) == {"ECE": pytest.approx(0.25 / 3, abs=1e-6)}


def test_scores_that_are_mostly_no_probabilities_have_no_error() -> None:
    truth = persons(0, 1)
    table = table_of(truth, detected(truth, truth.keypoints, [1.5, 0.5]))
    found = values_of(table, [1, 1], [2, 1], [1, 2])
    np.testing.assert_allclose(found, [0.25, np.nan, 1 / 3], atol=1e-6)


def test_what_is_ignored_does_not_count() -> None:
    truth = persons(0, 1)
    crowd = dataclasses.replace(truth, ignored=np.array([True, False]))
    table = table_of(crowd, detected(truth, truth.keypoints, [0.1, 0.75]))
    np.testing.assert_allclose(values_of(table, [1, 1], [3, 1]), [0.25, 0.25], atol=1e-6)
    assert calibration_metrics(table_of(truth, detected(truth, np.zeros((0, 17, 2)), [], []))) == {
        "ECE": None
    }
