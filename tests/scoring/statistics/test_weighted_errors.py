"""PCK and medians by image weights against images that really stand several times in the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pose_problems import Problem, duplicated, problems

from posebench.scoring.keypoint_metrics import PCK_THRESHOLDS, keypoint_distances
from posebench.scoring.localisation import (
    Localisation,
    in_single_precision,
    median_error,
    share_by_keypoint,
    share_within,
)
from posebench.scoring.matching.detections import detections_from_results
from posebench.scoring.matching.matching import MatchRules, MatchTable
from posebench.scoring.matching.truth import ground_truth
from posebench.scoring.metrics import ERROR_METRICS
from posebench.scoring.statistics.estimates import image_replicates
from posebench.scoring.statistics.image_table import ErrorMetric, ErrorTable, ImageTable
from posebench.scoring.statistics.weighted_errors import error_values

MEDIAN = ErrorMetric("median error")
SHARE = ErrorMetric("PCK@0.1", 0.1)


def only(table: ErrorTable, images: int) -> ImageTable:
    """Return a table of errors whose images have no detections."""
    none, rules = np.zeros(0, dtype=np.int64), MatchRules((0.5,), area_ranges={"all": (0.0, 1e10)})
    matches = MatchTable(
        rules=rules,
        image_ids=np.arange(images),
        crowd_index=None,
        detection=none,
        image=none,
        rank=none,
        scores=np.zeros(0),
        person=np.zeros((1, 1, 0), dtype=np.int32),
        ignored=np.zeros((1, 1, 0), dtype=bool),
        person_count=np.zeros((1, images), dtype=np.int64),
    )
    return ImageTable(matches, table)


def located(problem: Problem) -> Localisation:
    dataset = problem.dataset("coco", "annotation")
    truth = ground_truth(dataset)
    found = detections_from_results(problem.results, len(problem.keypoints))
    assert found is not None
    return Localisation(dataset, truth, keypoint_distances(truth, found))


def plain(found: Localisation) -> list[float | None]:
    """Return the numbers themselves: PCK, median error, PCK of each keypoint."""
    if not found.errors.size:
        return [None] * (len(PCK_THRESHOLDS) + 1 + len(found.dataset.keypoints.keypoints))
    shares = [share_within(found, threshold) for threshold in PCK_THRESHOLDS]
    return [*shares, median_error(found), *share_by_keypoint(found).values()]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems(), st.data())
def test_weights_are_literal_copies(problem: Problem, data: st.DataObject) -> None:
    found = located(problem)
    ids = found.truth.image_ids.tolist()
    counts = data.draw(st.lists(st.integers(0, 3), min_size=len(ids), max_size=len(ids)))
    names = problem.keypoints.keypoints
    metrics = [*ERROR_METRICS, *(ErrorMetric(name, 0.1, name) for name in names)]
    weights = np.array([[1] * len(ids), counts], dtype=np.int32)
    values = error_values([only(found.table(), len(ids))], metrics)(weights)[0]
    for row, copies in zip(values, weights.tolist(), strict=True):
        again = duplicated(problem, dict(zip(ids, copies, strict=True)))
        said = plain(located(again)) if again.images else [None] * len(metrics)
        theirs = np.array([np.nan if value is None else value for value in said])
        medians = np.array([metric == MEDIAN for metric in metrics])
        np.testing.assert_array_equal(row[~medians], theirs[~medians])
        np.testing.assert_allclose(row[medians], theirs[medians], rtol=1e-7)


def test_known_shares_and_medians() -> None:
    # The second image has a person without prediction, the third nobody.
    errors = [[0.1, 0.2], [np.nan, 0.3], [np.inf, np.inf]]
    table = ErrorTable(("a", "b"), np.array([0, 0, 1]), np.array(errors, dtype=np.float32))
    metrics = [SHARE, MEDIAN, ErrorMetric("b", 0.1, keypoint="b")]
    weights = np.array([[1, 0, 0], [2, 1, 5], [1, 2, 0], [0, 0, 3], [3, 3, 0]], dtype=np.int32)
    nan = np.nan
    expected = [
        [1 / 3, 0.2, 0],
        [2 / 8, 0.3, 0],  # 0.1, 0.1, 0.2, 0.2, 0.3, 0.3 and two misses: the fourth and the fifth
        [1 / 7, nan, 0],
        [nan, nan, nan],
        [3 / 15, 0.3, 0],
    ]
    expected[1][1] = (0.2 + 0.3) / 2
    values = error_values([only(table, 3)] * 2, metrics)(weights)
    assert values.shape == (2, 5, 3)
    for row in values:
        np.testing.assert_allclose(row, expected, rtol=1e-6)


@pytest.mark.parametrize("threshold", PCK_THRESHOLDS)
def test_single_precision_stays_on_the_side_of_a_threshold(threshold: float) -> None:
    near = [threshold, np.nextafter(threshold, 1), np.nextafter(threshold, 0), threshold + 1e-9]
    errors = in_single_precision(np.array([[*near, 1e300, np.nan]]))
    assert np.isinf(errors[0, 4]) and np.isnan(errors[0, 5])
    table = ErrorTable(tuple("abcdef"), np.zeros(1, dtype=np.int64), errors)
    once = np.ones((1, 1), dtype=np.int32)
    values = error_values([only(table, 1)], [ErrorMetric("", threshold)])(once)
    assert values[0, 0, 0] == 2 / 5


def test_resamples_of_one_keypoint_an_image_are_binomial() -> None:
    images, near = 400, 100
    errors = np.where(np.arange(images) < near, 0.05, 0.5).astype(np.float32)[:, None]
    table = only(ErrorTable(("a",), np.arange(images), errors), images)
    draws = image_replicates([table], [SHARE], 4000, np.random.default_rng(0))[0, :, 0]
    share = near / images
    assert draws.mean() == pytest.approx(share, abs=0.002)
    assert draws.std() == pytest.approx(np.sqrt(share * (1 - share) / images), rel=0.05)


def test_nobody_labelled_is_nan_and_not_zero() -> None:
    nobody = ErrorTable(("a",), np.zeros(0, dtype=np.int64), np.zeros((0, 1), dtype=np.float32))
    values = error_values([only(nobody, 4)], [SHARE, MEDIAN])(np.ones((2, 4), dtype=np.int32))
    assert np.isnan(values).all()
