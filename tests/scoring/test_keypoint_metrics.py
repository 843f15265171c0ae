"""PCK and end-point error per keypoint in known cases; best partners against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from numpy.typing import NDArray
from pose_problems import Problem, problems
from small_scenes import detected, persons

from posebench.datasets.keypoints import COCO
from posebench.scoring.keypoint_metrics import keypoint_distances, keypoint_metrics
from posebench.scoring.matching.detections import detections_from_results
from posebench.scoring.matching.pairing import best_detections, best_persons, one_to_one
from posebench.scoring.matching.truth import GroundTruth, ground_truth

NOSE, EAR = 0, 3


def test_each_keypoint_has_its_own_error() -> None:
    truth = persons(0, 0, 1)
    truth.visibility[0, EAR] = 0
    truth.visibility[1, EAR] = 1
    points = truth.keypoints[:2].copy()
    points[0, NOSE] += [30, 40]  # of a longer side of 800 px: 0.0625
    points[1, EAR] += [0, 100]
    distances = keypoint_distances(truth, detected(truth, points, [1.0, 0.5], image=[0, 0]))
    found = {item.name: item for item in keypoint_metrics(distances, COCO.keypoints)}
    nose, ear = found["nose"], found["left_ear"]
    assert (nose.labelled, nose.found, ear.labelled, ear.found) == (3, 2, 2, 1)
    assert nose.endpoint_error == nose.median_error == pytest.approx(25)
    assert ear.endpoint_error == pytest.approx(100)
    assert nose.pck == {
        0.05: pytest.approx(1 / 3),
        0.1: pytest.approx(2 / 3),
        0.2: pytest.approx(2 / 3),
    }
    assert ear.pck[0.1] == 0
    occluded = keypoint_metrics(distances, COCO.keypoints, truth.visibility[distances.person] == 1)
    assert (occluded[0].labelled, occluded[0].median_error) == (1, pytest.approx(100))
    assert (occluded[1].labelled, occluded[1].pck[0.1], occluded[1].endpoint_error) == (
        0,
        None,
        None,
    )


def test_a_stranger_is_no_end_point() -> None:
    truth = persons(0)
    far = detected(truth, truth.keypoints + 3000, [1.0])
    (found, *_) = keypoint_metrics(keypoint_distances(truth, far), COCO.keypoints)
    assert (found.labelled, found.found, found.pck[0.2], found.endpoint_error) == (17, 0, 0, None)


def _oks(truth: GroundTruth, person: int, points: NDArray[np.float64]) -> float:
    labelled = np.flatnonzero(truth.visibility[person] > 0)
    total = 0.0
    for keypoint in labelled:
        squared = float(((points[keypoint] - truth.keypoints[person, keypoint]) ** 2).sum())
        total += float(
            np.exp(-squared / (2 * truth.areas[person] * (2 * truth.sigmas[keypoint]) ** 2))
        )
    return total / len(labelled)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems())
def test_best_partners_are_those_of_plain_loops(problem: Problem) -> None:
    truth = ground_truth(problem.dataset("coco", "annotation"))
    detections = detections_from_results(problem.results, len(problem.keypoints))
    assert detections is not None
    among = np.asarray((truth.visibility > 0).any(axis=1))
    persons_of = best_persons(truth, detections, among)
    detections_of = best_detections(truth, detections)
    where = truth.locate(detections.image_ids)
    table = np.full((len(detections), len(truth)), -1.0)
    for detection in range(len(detections)):
        for person in np.flatnonzero(among & (truth.image == where[detection])):
            table[detection, person] = _oks(truth, int(person), detections.keypoints[detection])
    for detection, row in enumerate(table):
        best, oks = persons_of.row[detection], persons_of.oks[detection]
        assert (best == -1) == (row.max(initial=-1) < 0)
        assert oks == pytest.approx(max(row.max(initial=-1), 0), abs=1e-12)
        assert best == -1 or row[best] == pytest.approx(oks, abs=1e-12)
    for person in np.flatnonzero(among):
        column, best = table[:, person], detections_of.row[person]
        assert (best == -1) == (column.max(initial=-1) < 0)
        if best >= 0:
            assert column[best] == pytest.approx(column.max(), abs=1e-12)
            assert detections_of.oks[person] == pytest.approx(column.max(), abs=1e-12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems())
def test_one_to_one_leaves_no_pair_that_should_have_gone_first(problem: Problem) -> None:
    truth = ground_truth(problem.dataset("coco", "annotation"))
    detections = detections_from_results(problem.results, len(problem.keypoints))
    assert detections is not None
    among = (truth.visibility > 0).any(axis=1) & ~truth.crowd
    single = one_to_one(truth, detections, among)
    matched = single.row[single.row >= 0]
    assert len(set(matched.tolist())) == len(matched) and among[matched].all()
    of_person = np.full(len(truth), -1.0)
    of_person[matched] = single.oks[single.row >= 0]
    of_detection = np.where(single.row >= 0, single.oks, -1.0)
    where = truth.locate(detections.image_ids)
    for detection in range(len(detections)):
        for person in np.flatnonzero(among & (truth.image == where[detection])):
            oks = _oks(truth, int(person), detections.keypoints[detection])
            assert max(of_person[person], of_detection[detection]) >= oks - 1e-9
            if single.row[detection] == person:
                assert single.oks[detection] == pytest.approx(oks, abs=1e-12)
