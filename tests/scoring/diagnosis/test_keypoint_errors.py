"""States of keypoints and their corrections, in built cases and against plain loops."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pose_problems import Problem, problems
from small_scenes import detected, persons, shift, shifts, similarity_to

from posebench.datasets.keypoints import COCO
from posebench.scoring.diagnosis.keypoint_errors import (
    STATES,
    KeypointErrors,
    found_persons,
    keypoint_errors,
    without_errors,
)
from posebench.scoring.matching.detections import Detections, detections_from_results
from posebench.scoring.matching.matching import MatchRules
from posebench.scoring.matching.truth import GroundTruth, ground_truth

WRIST, OTHER_WRIST, KNEE = 9, 10, 13
FAR = np.array([0.0, -4000.0])


def examine(truth: GroundTruth, detections: Detections) -> KeypointErrors:
    found = found_persons(truth, detections, MatchRules())
    return keypoint_errors(truth, detections, found, COCO.flip_indices)


def state_of(truth: GroundTruth, keypoint: int, position: np.ndarray) -> str:
    """Return the state of one keypoint of the first person; all others must be good."""
    points = truth.keypoints.copy()
    points[0, keypoint] = position
    errors = examine(truth, detected(truth, points, [0.9, 0.8]))
    row = int(np.flatnonzero(errors.person == 0)[0])
    names = [STATES[code] for code in errors.state[row]]
    assert all(name == "good" for index, name in enumerate(names) if index != keypoint)
    return str(names[keypoint])


@pytest.mark.parametrize(
    ("similarity", "state"),
    [(1.0, "good"), (0.86, "good"), (0.84, "jitter"), (0.51, "jitter"), (0.49, "miss")],
)
def test_one_keypoint_moved_by_a_known_amount(similarity: float, state: str) -> None:
    truth = persons(0, 0)
    moved = truth.keypoints[0, WRIST] + shift(WRIST, similarity)
    assert state_of(truth, WRIST, moved) == state


def test_one_keypoint_at_a_wrong_place() -> None:
    truth = persons(0, 0)
    own, other = truth.keypoints
    assert state_of(truth, WRIST, own[OTHER_WRIST]) == "inversion"
    assert state_of(truth, WRIST, own[OTHER_WRIST] + shift(WRIST, 0.6)) == "inversion"
    assert state_of(truth, WRIST, own[OTHER_WRIST] + shift(WRIST, 0.4)) == "miss"
    assert state_of(truth, WRIST, other[WRIST]) == "swap"
    assert state_of(truth, WRIST, other[OTHER_WRIST] + shift(WRIST, 0.6)) == "swap"
    assert state_of(truth, WRIST, own[KNEE]) == "miss"
    assert state_of(truth, WRIST, own[WRIST] + FAR) == "miss"


def test_persons_of_other_images_are_no_swap() -> None:
    truth = persons(0, 1)
    assert state_of(truth, WRIST, truth.keypoints[1, WRIST]) == "miss"


def test_what_is_not_labelled_has_no_state() -> None:
    truth = persons(0)
    truth.visibility[0, [OTHER_WRIST, KNEE]] = 0
    points = truth.keypoints.copy()
    points[0, WRIST] = points[0, OTHER_WRIST]
    errors = examine(truth, detected(truth, points, [1.0]))
    assert errors.state[0, [OTHER_WRIST, KNEE]].tolist() == [-1, -1]
    assert STATES[errors.state[0, WRIST]] == "miss"  # its partner is not labelled


def test_only_persons_found_at_oks_a_tenth() -> None:
    truth = persons(0, 0)
    points = truth.keypoints + np.stack([shifts(0.11), shifts(0.09)])
    errors = examine(truth, detected(truth, points, [1.0, 1.0]))
    assert errors.person.tolist() == [0]
    assert set(errors.state[0]) == {STATES.index("miss")}
    crowd = dataclasses.replace(truth, ignored=np.array([True, False]))
    assert len(examine(crowd, detected(truth, points, [1.0, 1.0])).person) == 0


@pytest.mark.parametrize("state", STATES[1:])
def test_corrections_leave_the_similarity_they_promise(state: str) -> None:
    truth = persons(0, 0)
    own, other = truth.keypoints
    points = truth.keypoints.copy()
    points[0, 0] += shift(0, 0.7)
    points[0, WRIST] = own[OTHER_WRIST] + shift(WRIST, 0.65)
    points[0, 5] = other[5] + shift(5, 0.95)
    points[0, 16] += FAR
    detections = detected(truth, points, [0.9, 0.8])
    after = without_errors(truth, detections, examine(truth, detections), (state,))  # type: ignore[arg-type]
    expected = {
        "jitter": (0, 0.85),
        "inversion": (WRIST, 0.65),
        "swap": (5, 0.95),
        "miss": (16, 0.5),
    }
    keypoint, similarity = expected[state]
    now = similarity_to(truth, 0, after.keypoints[0])
    assert now[keypoint] == pytest.approx(similarity, abs=1e-8)
    same = np.ones((2, 17), dtype=bool)
    same[0, keypoint] = False
    np.testing.assert_array_equal(after.keypoints[same], points[same])
    # It lies on the way from the label to where it was.
    was, is_now = points[0, keypoint] - own[keypoint], after.keypoints[0, keypoint] - own[keypoint]
    assert was @ is_now == pytest.approx(np.linalg.norm(was) * np.linalg.norm(is_now))


def test_an_exact_inversion_is_corrected_to_the_label() -> None:
    truth = persons(0)
    points = truth.keypoints.copy()
    points[0, [WRIST, OTHER_WRIST]] = points[0, [OTHER_WRIST, WRIST]]
    detections = detected(truth, points, [1.0])
    after = without_errors(truth, detections, examine(truth, detections), ["inversion"])
    np.testing.assert_allclose(after.keypoints, truth.keypoints, atol=1e-9)


def _loop_similarity(
    point: np.ndarray, truth: GroundTruth, person: int, place: int, keypoint: int
) -> float:
    if truth.visibility[person, place] <= 0:
        return 0.0
    dx, dy = point - truth.keypoints[person, place]
    spread = 2 * truth.areas[person] * (2 * truth.sigmas[keypoint]) ** 2
    return math.exp(-min((dx * dx + dy * dy) / spread, 700))


def _loop_state(
    truth: GroundTruth, person: int, keypoint: int, partner: int, point: np.ndarray
) -> tuple[str, float]:
    """Follow the definition: the nearest of all places, its own first, then its partner's."""
    places = [("own", person, keypoint), ("inversion", person, partner)]
    for other in np.flatnonzero(truth.image == truth.image[person]):
        if other != person:
            places += [("swap", int(other), keypoint), ("swap", int(other), partner)]
    values = [_loop_similarity(point, truth, who, place, keypoint) for _, who, place in places]
    best = max(values)
    name = next(
        place[0] for place, value in zip(places, values, strict=True) if value > best - 1e-12
    )
    if best < 0.5:
        return "miss", best
    return (("good" if best > 0.85 else "jitter") if name == "own" else name), best


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems(), st.randoms(use_true_random=False))
def test_states_are_those_of_plain_loops(problem: Problem, random: object) -> None:
    joints = len(problem.keypoints)
    shuffled = list(range(joints))
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    flip = list(range(joints))
    for left, right in zip(shuffled[0::2], shuffled[1::2], strict=False):
        flip[left], flip[right] = right, left
    truth = ground_truth(problem.dataset("coco", "annotation"))
    detections = detections_from_results(problem.results, joints)
    assert detections is not None
    found = found_persons(truth, detections, MatchRules())
    errors = keypoint_errors(truth, detections, found, flip)
    for row, (detection, person) in enumerate(zip(errors.detection, errors.person, strict=True)):
        for keypoint in range(joints):
            code = errors.state[row, keypoint]
            if truth.visibility[person, keypoint] == 0:
                assert code == -1
                continue
            point = detections.keypoints[detection, keypoint]
            state, best = _loop_state(truth, int(person), keypoint, flip[keypoint], point)
            if min(abs(best - 0.5), abs(best - 0.85)) > 1e-9:
                assert STATES[code] == state
