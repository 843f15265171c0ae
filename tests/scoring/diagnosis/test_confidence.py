"""Calibration in known cases and against plain loops and pandas; oracle scores."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from pose_problems import Problem, problems
from small_scenes import POSE, detected, persons, shifts

from posebench.scoring.diagnosis.confidence import Calibration, calibration, oracle_scores
from posebench.scoring.diagnosis.keypoint_errors import found_persons
from posebench.scoring.matching.detections import Detections, detections_from_results
from posebench.scoring.matching.matching import MatchRules
from posebench.scoring.matching.pairing import best_persons
from posebench.scoring.matching.truth import GroundTruth, ground_truth


def calibrate(truth: GroundTruth, detections: Detections) -> Calibration:
    return calibration(truth, detections, found_persons(truth, detections, MatchRules()))


def test_scores_that_are_oks() -> None:
    truth = persons(0, 1, 2)
    oks = [0.95, 0.55, 0.75]
    points = truth.keypoints + np.stack([shifts(value) for value in oks])
    found = calibrate(truth, detected(truth, points, oks))
    assert found.ece == pytest.approx(0, abs=1e-12)
    assert found.rank_correlation == pytest.approx(1)
    assert [item.count for item in found.bins] == [0, 0, 0, 0, 0, 1, 0, 1, 0, 1]
    worse = calibrate(truth, detected(truth, points, [0.05, 0.95, 0.65]))
    assert worse.ece == pytest.approx((0.9 + 0.4 + 0.1) / 3)
    assert worse.rank_correlation == pytest.approx(-1)


def test_gaps_cancel_within_a_bin_only() -> None:
    truth = persons(0, 1)
    points = truth.keypoints + np.stack([shifts(0.9), shifts(0.6)])
    assert calibrate(truth, detected(truth, points, [0.72, 0.78])).ece == pytest.approx(0)
    assert calibrate(truth, detected(truth, points, [0.69, 0.81])).ece == pytest.approx(0.21)


def test_scores_off_the_scale() -> None:
    truth = persons(0, 1, 2)
    one = calibrate(truth, detected(truth, truth.keypoints, [1.5, 1.0, 0.0]))
    assert (one.outside, one.detections) == (1, 3)
    assert one.ece == pytest.approx(1 / 3)
    most = calibrate(truth, detected(truth, truth.keypoints, [1.5, 20.0, 0.5]))
    assert (most.outside, most.ece, most.rank_correlation) == (2, None, None)


def test_what_is_ignored_is_not_calibrated() -> None:
    truth = persons(0, 1)
    crowd = dataclasses.replace(truth, ignored=np.array([True, False]))
    found = calibrate(crowd, detected(truth, truth.keypoints, [0.1, 1.0]))
    assert (found.detections, found.ece) == (1, pytest.approx(0))
    nothing = calibrate(truth, detected(truth, np.zeros((0, 17, 2)), [], image=[]))
    assert (nothing.detections, nothing.ece) == (0, None)


def test_oracle_scores_are_the_best_oks_once_for_each_person() -> None:
    truth = persons(0, 0)
    first, second = truth.keypoints
    points = np.stack([second + shifts(0.7), POSE - 9000, first + shifts(0.9), first])
    scores = oracle_scores(
        truth, detected(truth, points, [0.1, 0.9, 0.8, 0.3], image=[0] * 4)
    ).scores
    assert scores == pytest.approx([0.7, 0.0, 0.0, 1.0])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems())
def test_calibration_is_that_of_plain_loops(problem: Problem) -> None:
    truth = ground_truth(problem.dataset("coco", "annotation"))
    detections = detections_from_results(problem.results, len(problem.keypoints))
    assert detections is not None
    table = found_persons(truth, detections, MatchRules())
    best = best_persons(truth, detections, ~truth.ignored).oks
    pairs = [
        (float(detections.scores[row]), float(best[row]))
        for row, ignored in zip(table.detection, table.ignored[0, 0], strict=True)
        if not ignored
    ]
    bins: dict[int, list[tuple[float, float]]] = {}
    for score, oks in pairs:
        bins.setdefault(min(int(score * 10), 9), []).append((score, oks))
    gaps = [abs(sum(score - oks for score, oks in members)) for members in bins.values()]
    found = calibration(truth, detections, table)
    assert found.ece == (pytest.approx(sum(gaps) / len(pairs), abs=1e-12) if pairs else None)
    ranks = pd.DataFrame(pairs, columns=["score", "oks"]).rank()
    if found.rank_correlation is None:
        assert ranks.nunique().min() < 2 or not pairs
    else:
        assert found.rank_correlation == pytest.approx(ranks["score"].corr(ranks["oks"]))
