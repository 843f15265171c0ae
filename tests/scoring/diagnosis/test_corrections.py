"""What each type of error costs, in scenes whose AP is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from pose_problems import Problem, problems
from small_scenes import POSE, detected, persons, shifts

from posebench.datasets.keypoints import COCO
from posebench.scoring.diagnosis.corrections import (
    ERROR_TYPES,
    Scored,
    corrected,
    false_positives,
    missed_persons,
)
from posebench.scoring.diagnosis.diagnosis import (
    COUNTED,
    Diagnosis,
    average_precision,
    diagnose,
    error_costs,
    remaining_loss,
    state_counts,
)
from posebench.scoring.diagnosis.keypoint_errors import STATES, found_persons, keypoint_errors
from posebench.scoring.matching.detections import Detections, detections_from_results
from posebench.scoring.matching.matching import MatchRules
from posebench.scoring.matching.truth import GroundTruth, ground_truth

FAR = np.array([0.0, -4000.0])


def costs(truth: GroundTruth, detections: Detections) -> tuple[Diagnosis, dict[str, float]]:
    """Return the diagnosis and what each type regains alone."""
    found = diagnose(truth, detections, COCO.flip_indices)
    regained = {cost.name: cost.alone for cost in error_costs(found)}
    return found, regained


def counts(found: Diagnosis) -> dict[str, int]:
    return dict(zip(COUNTED, found.counts.counts.sum(axis=0).tolist(), strict=True))


def assert_only(
    found: Diagnosis, regained: dict[str, float], error: str, gain: float, by_score: float = 0
) -> None:
    """Assert that one type costs `gain`, and that no other does; scores alone may help as well."""
    expected: dict[str, float] = {**dict.fromkeys(ERROR_TYPES, 0.0), error: gain, "score": by_score}
    assert regained == pytest.approx(expected, abs=1e-12)
    wrong = [name for name, count in counts(found).items() if count and name != "good"]
    assert wrong == [error]


def test_nothing_is_wrong_with_the_truth() -> None:
    truth = persons(0, 0, 2)
    found, regained = costs(truth, detected(truth, truth.keypoints, [0.5, 0.9, 0.7]))
    assert average_precision(found.tables.predicted) == pytest.approx(1)
    assert remaining_loss(found) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(list(regained.values()), 0, atol=1e-12)
    assert counts(found) == {**dict.fromkeys(COUNTED, 0), "good": 51}


def test_inversion_of_one_pair() -> None:
    truth = persons(0)
    points = truth.keypoints.copy()
    points[0, [9, 10]] = points[0, [10, 9]]
    found, regained = costs(truth, detected(truth, points, [1.0]))
    assert counts(found)["inversion"] == 2
    # OKS 15/17 passes eight of ten thresholds.
    assert_only(found, regained, "inversion", 0.2)


def test_two_keypoints_missed() -> None:
    truth = persons(0)
    points = truth.keypoints.copy()
    points[0, [3, 8]] += FAR
    found, regained = costs(truth, detected(truth, points, [1.0]))
    # Misses are corrected to a similarity of 0.5: OKS 16/17 passes nine.
    assert_only(found, regained, "miss", 0.1)
    assert remaining_loss(found) == pytest.approx(0.1)


def test_all_keypoints_jitter() -> None:
    truth = persons(0)
    found, regained = costs(truth, detected(truth, truth.keypoints + shifts(0.62), [1.0]))
    # From three thresholds to the eight up to 0.85, that one included.
    assert_only(found, regained, "jitter", 0.5)


def test_two_keypoints_of_another_person() -> None:
    truth = persons(0, 0)
    points = truth.keypoints.copy()
    points[0, [5, 7]] = truth.keypoints[1, [5, 7]]
    found, regained = costs(truth, detected(truth, points, [0.5, 1.0]))
    # At two thresholds only the second is found.
    assert_only(found, regained, "swap", 0.2 * (1 - 51 / 101))


def test_background_before_a_person() -> None:
    truth = persons(0)
    points = np.stack([POSE + FAR, POSE])
    found, regained = costs(truth, detected(truth, points, [0.9, 0.5], image=[0, 0]))
    assert_only(found, regained, "background", 0.5, by_score=0.5)


def test_a_duplicate_before_another_person() -> None:
    truth = persons(0, 0)
    first, second = truth.keypoints
    points = np.stack([first, first + shifts(0.9), second])
    found, regained = costs(truth, detected(truth, points, [0.9, 0.8, 0.5], image=[0, 0, 0]))
    gain = 1 - (51 + 50 * 2 / 3) / 101
    assert_only(found, regained, "duplicate", gain, by_score=gain)


def test_a_person_nobody_found() -> None:
    truth = persons(0, 1)
    found, regained = costs(truth, detected(truth, truth.keypoints[:1], [0.9], image=[0]))
    assert_only(found, regained, "false negative", 1 - 51 / 101)


def test_the_worse_pose_has_the_higher_score() -> None:
    truth = persons(0)
    points = np.stack([POSE + shifts(0.62), POSE])
    found, regained = costs(truth, detected(truth, points, [0.9, 0.5], image=[0, 0]))
    assert counts(found)["score"] == 1
    # The better pose is first right at seven thresholds, after a wrong one.
    assert regained["score"] == pytest.approx(0.35)
    swapped, _ = costs(truth, detected(truth, points, [0.5, 0.9], image=[0, 0]))
    assert counts(swapped)["score"] == 0


def test_corrections_in_order_add_up() -> None:
    truth = persons(0, 0, 1)
    points = truth.keypoints.copy()
    points[0, 4] += FAR
    points[1] += shifts(0.7)
    extra = np.concatenate([points[:2], [POSE + 2 * FAR]])
    found, _ = costs(truth, detected(truth, extra, [0.5, 0.7, 0.9], image=[0, 0, 1]))
    start = average_precision(found.tables.predicted)
    gains = [cost.in_order for cost in error_costs(found)]
    assert start is not None and all(gain is not None and gain >= -1e-12 for gain in gains)
    end = start + sum(gain for gain in gains if gain is not None)
    # Jitter was corrected to 0.85: at two thresholds one of two persons is not found.
    assert end == pytest.approx(1 - 0.2 * (1 - 51 / 101))
    assert remaining_loss(found) == pytest.approx(1 - end)


def test_nothing_predicted_and_nobody_there() -> None:
    truth = persons(0, 1)
    nothing = detected(truth, np.zeros((0, 17, 2)), [], image=[])
    found = diagnose(truth, nothing, COCO.flip_indices)
    by_name = {cost.name: cost for cost in error_costs(found)}
    assert by_name["false negative"].count == 2
    assert by_name["false negative"].alone is None  # nobody is left to be found
    assert by_name["miss"].share is None
    truth.ignored[:] = True
    found = diagnose(truth, detected(truth, truth.keypoints, [1.0, 1.0]), COCO.flip_indices)
    assert {cost.alone for cost in error_costs(found)} == {None}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems())
def test_what_is_corrected_is_gone(problem: Problem) -> None:
    truth = ground_truth(problem.dataset("coco", "annotation"))
    joints = len(problem.keypoints)
    detections = detections_from_results(problem.results, joints)
    assert detections is not None
    rules = MatchRules(max_detections=3)
    found = found_persons(truth, detections, rules)
    errors = keypoint_errors(truth, detections, found, range(joints))
    scored = Scored(truth, detections)
    for error_type in ("duplicate", "background", "false negative"):
        after = corrected(scored, errors, error_type, rules)
        found = found_persons(after.truth, after.detections, rules)
        if error_type == "false negative":
            assert not missed_persons(after.truth, found).any()
        else:
            assert not getattr(
                false_positives(after.truth, after.detections, found), error_type
            ).any()
    diagnosis = diagnose(truth, detections, range(joints), rules)
    states = len(STATES)
    keypoints = diagnosis.counts.counts[:, :states]
    np.testing.assert_array_equal(keypoints.sum(axis=1), diagnosis.counts.out_of[:, 0])
    by_keypoint = dict(zip(STATES, state_counts(diagnosis.errors).sum(axis=0), strict=True))
    assert [by_keypoint[name] for name in COUNTED[:states]] == keypoints.sum(axis=0).tolist()
    assert len(diagnosis.tables.alone) == len(ERROR_TYPES)
