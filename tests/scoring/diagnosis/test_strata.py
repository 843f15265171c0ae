"""Strata against pycocotools with everybody else ignored, and crowding against plain loops."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from pose_problems import Problem, problems, pycocotools_says
from small_scenes import detected, persons, shifts

from posebench.scoring.diagnosis.strata import (
    Stratum,
    overlapping_boxes,
    standard_strata,
    stratum_metrics,
)
from posebench.scoring.matching.accumulate import summarise
from posebench.scoring.matching.detections import detections_from_results
from posebench.scoring.matching.matching import match
from posebench.scoring.matching.metrics import COCO_METRICS
from posebench.scoring.matching.truth import ground_truth

few = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@few
@given(problems())
def test_a_stratum_is_scored_as_pycocotools_ignores_the_others(problem: Problem) -> None:
    chosen = [index % 2 == 0 for index in range(len(problem.persons))]
    changed = copy.deepcopy(problem)
    for row, kept in zip(changed.persons, chosen, strict=True):
        row["num_keypoints"] = row["num_keypoints"] if kept else 0
    truth = ground_truth(problem.dataset("coco", "annotation"))
    by_id = dict(zip((row["id"] for row in problem.persons), chosen, strict=True))
    mask = np.array([by_id[key] for key in truth.ids.tolist()], dtype=bool)
    detections = detections_from_results(problem.results, len(problem.keypoints))
    assert detections is not None
    (found,) = stratum_metrics(truth, detections, (Stratum("some", "even", mask),))
    stats = pycocotools_says(changed).stats
    assert [-1 if value is None else value for value in (found.ap, found.ar)] == pytest.approx(
        [stats[0], stats[5]], abs=1e-12
    )


@few
@given(problems())
def test_sizes_are_cocos_and_strata_share_out_the_labelled(problem: Problem) -> None:
    truth = ground_truth(problem.dataset("coco", "annotation"))
    detections = detections_from_results(problem.results, len(problem.keypoints))
    assert detections is not None
    strata = standard_strata(truth)
    found = {(item.family, item.name): item for item in stratum_metrics(truth, detections, strata)}
    values = summarise(match(truth, detections), COCO_METRICS)
    for name, letter in (("medium", "M"), ("large", "L")):
        assert found["size", name].ap == pytest.approx(values[f"AP({letter})"])
        assert found["size", name].ar == pytest.approx(values[f"AR({letter})"])
    labelled = (truth.visibility > 0).any(axis=1)
    for family in ("visibility", "labelled keypoints", "overlapping people"):
        masks = np.stack([item.persons for item in strata if item.family == family])
        everybody = np.ones(len(truth), bool) if family == "overlapping people" else labelled
        np.testing.assert_array_equal(masks.sum(axis=0), everybody)


def test_groups_of_ronchi_and_perona() -> None:
    truth = persons(0, 0)
    names = [item.name for item in standard_strata(truth) if item.family == "labelled keypoints"]
    assert names == ["1-5", "6-10", "11-15", "16-17"]
    truth.visibility[0, 5:] = 0
    truth.visibility[1, 16] = 1
    members = {item.name: item.persons.tolist() for item in standard_strata(truth)}
    assert members["1-5"] == members["all visible"] == [True, False]
    assert members["16-17"] == members["some occluded"] == [False, True]


def test_oks_and_pck_of_a_stratum() -> None:
    truth = persons(0, 1)
    detections = detected(truth, truth.keypoints[:1] + shifts(0.64), [1.0], image=[0])
    everybody = Stratum("all", "all", np.array([True, True]))
    first = dataclasses.replace(everybody, persons=np.array([True, False]))
    both, one = stratum_metrics(truth, detections, (everybody, first))
    assert (both.mean_oks, one.mean_oks) == (pytest.approx(0.32), pytest.approx(0.64))
    assert (both.persons, one.persons, one.ar) == (2, 1, pytest.approx(0.3))
    assert both.pck[0.2] == 0.5


@few
@given(problems())
def test_overlaps_are_those_of_plain_loops(problem: Problem) -> None:
    truth = ground_truth(problem.dataset("coco", "annotation"))
    expected = []
    for i in range(len(truth)):
        count = 0
        for j in range(len(truth)):
            if i == j or truth.image[i] != truth.image[j] or truth.crowd[j]:
                continue
            (ax, ay, aw, ah), (bx, by, bw, bh) = truth.bbox_xywh[[i, j]].tolist()
            width = min(ax + aw, bx + bw) - max(ax, bx)
            height = min(ay + ah, by + bh) - max(ay, by)
            if width > 0 and height > 0:
                shared = width * height
                count += shared / (aw * ah + bw * bh - shared) >= 0.1
        expected.append(count)
    assert overlapping_boxes(truth).tolist() == expected
