"""Our matcher against pycocotools and xtcocotools: every number of every array."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pose_problems import Problem, Verdict, problems, pycocotools_says, xtcocotools_says

from posebench.datasets.choices import AreaRule
from posebench.datasets.coco import PoseDataset, load_annotations
from posebench.datasets.keypoints import KeypointSet
from posebench.datasets.requests import limit_images
from posebench.errors import EvaluationError
from posebench.scoring import official
from posebench.scoring.matching.accumulate import Curves, accumulate, summarise
from posebench.scoring.matching.detections import Detections, detections_from_results
from posebench.scoring.matching.matching import MatchRules, MatchTable, match
from posebench.scoring.matching.metrics import MATCH_METRICS, MatchMetric, crowdpose_metrics
from posebench.scoring.matching.truth import ground_truth
from posebench.scoring.official import score_official
from posebench.scoring.results_file import read_detections
from posebench.scoring.results_json import read_coco_results

NEEDS_XTCOCOTOOLS = pytest.mark.skipif(
    importlib.util.find_spec("xtcocotools") is None, reason="needs xtcocotools (Python < 3.12)"
)
# Sums may round otherwise on another processor; a match that differs moves far more.
ROUNDING = 1e-12
CROWDPOSE_RULES = MatchRules(drop_unscored=True)
thorough = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def detections(problem: Problem) -> Detections:
    found = detections_from_results(problem.results, len(problem.keypoints))
    assert found is not None
    return found


def matched(problem: Problem, rules: MatchRules, area_rule: AreaRule) -> MatchTable:
    return match(ground_truth(problem.dataset("coco", area_rule)), detections(problem), rules)


def assert_equal(curves: Curves, verdict: Verdict) -> None:
    for name in ("precision", "recall", "scores"):
        ours, theirs = getattr(curves, name), getattr(verdict, name)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=ROUNDING, err_msg=name)


@thorough
@given(problems(), st.sampled_from(("annotation", "box")))
def test_arrays_are_those_of_pycocotools(problem: Problem, area_rule: AreaRule) -> None:
    table = matched(problem, MatchRules(), area_rule)
    assert_equal(accumulate(table), pycocotools_says(problem, area_rule=area_rule))


@settings(thorough, max_examples=40)
@given(problems(), st.integers(1, 3))
def test_fewer_detections_are_those_pycocotools_takes(problem: Problem, most: int) -> None:
    table = matched(problem, MatchRules(max_detections=most), "annotation")
    assert table.rank.max(initial=0) < most
    assert_equal(accumulate(table), pycocotools_says(problem, most))


@settings(thorough, max_examples=60)
@given(problems())
def test_ten_numbers_are_those_of_pycocotools(problem: Problem) -> None:
    table = matched(problem, MatchRules(), "annotation")
    values = summarise(table, MATCH_METRICS["coco"])
    ours = [-1 if values[name] is None else values[name] for name in official.METRIC_NAMES["coco"]]
    np.testing.assert_allclose(ours, pycocotools_says(problem).stats, rtol=0, atol=ROUNDING)


@NEEDS_XTCOCOTOOLS
@thorough
@given(problems(), st.sampled_from(("annotation", "box")))
def test_arrays_are_those_of_xtcocotools(problem: Problem, area_rule: AreaRule) -> None:
    table = matched(problem, CROWDPOSE_RULES, area_rule)
    assert_equal(accumulate(table), xtcocotools_says(problem, area_rule=area_rule))


@NEEDS_XTCOCOTOOLS
@settings(thorough, max_examples=40)
@given(problems())
def test_nine_numbers_are_those_of_xtcocotools(problem: Problem) -> None:
    dataset = problem.dataset("crowdpose", "box")
    table = match(ground_truth(dataset), detections(problem), CROWDPOSE_RULES)
    assert_same_numbers(table, dataset, problem.results)


def assert_same_numbers(
    table: MatchTable, dataset: PoseDataset, results: list[dict[str, Any]]
) -> None:
    theirs = score_official(dataset, results).values
    ours = summarise(table, MATCH_METRICS[dataset.kind])
    assert set(theirs) == set(official.METRIC_NAMES[dataset.kind])
    for name, value in theirs.items():
        assert ours[name] == (None if value is None else pytest.approx(value, rel=0, abs=1e-10))


@pytest.mark.parametrize("name", ["a", "b"])
def test_real_results_on_coco(shared_dir: Path, name: str) -> None:
    folder = shared_dir / "data" / "evaluator"
    dataset = load_annotations(folder / "coco_val250_gt.json", folder)
    file = folder / f"coco_val250_dt_{name}.json"
    table = match(ground_truth(dataset), read_detections(file, 17).detections)
    assert_same_numbers(table, dataset, read_coco_results(file, 17))


@NEEDS_XTCOCOTOOLS
def test_the_published_crowdpose_example(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "crowdpose"
    dataset = load_annotations(folder / "example_crowdpose_val.json", folder)
    file = folder / "example_crowdpose_preds.json"
    table = match(ground_truth(dataset), read_detections(file, 14).detections, CROWDPOSE_RULES)
    assert_same_numbers(table, dataset, read_coco_results(file, 14))
    values = summarise(table, MATCH_METRICS["crowdpose"])
    assert values["AP"] == pytest.approx(0.78772159358793, rel=0, abs=1e-10)
    assert [values[f"AP({name})"] for name in ("easy", "medium", "hard")] == [1.0, 0.9802, 0.4116]


@NEEDS_XTCOCOTOOLS
@pytest.mark.parametrize("images", [60, pytest.param(2000, marks=pytest.mark.slow)])
def test_perturbed_crowdpose_val(shared_dir: Path, images: int) -> None:
    folder = shared_dir / "data" / "crowdpose"
    dataset = limit_images(load_annotations(folder / "crowdpose_val.json", folder), images)
    rng = np.random.default_rng(images)
    results = []
    for row in dataset.persons:
        for _ in range(rng.integers(0, 4)):
            triplets = np.reshape(row["keypoints"], (-1, 3)).astype(float)
            triplets[:, :2] += rng.normal(0, rng.choice([1, 5, 20]), (14, 2))
            triplets[:, 2] = rng.random(14) * (rng.random() < 0.95)
            score = round(float(rng.random()), 2)
            results.append(
                {
                    "image_id": row["image_id"],
                    "category_id": 1,
                    "keypoints": triplets.ravel().tolist(),
                    "score": score,
                }
            )
    found = detections_from_results(results, 14)
    assert found is not None
    table = match(ground_truth(dataset), found, CROWDPOSE_RULES)
    assert_same_numbers(table, dataset, results)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_more_than_twenty_detections_of_an_image(seed: int) -> None:
    problem = crowded(seed, persons=6, found=50)
    table = matched(problem, MatchRules(), "annotation")
    assert len(table.scores) == 20
    assert_equal(accumulate(table), pycocotools_says(problem))


def crowded(seed: int, persons: int, found: int) -> Problem:
    """Return one image whose detections all lie near its persons, with tied scores."""
    rng = np.random.default_rng(seed)
    keypoints = KeypointSet("own", ("a", "b", "c"), (0.05, 0.1, 0.2), ())
    rows = [
        {
            "id": number + 1,
            "image_id": 1,
            "category_id": 1,
            "bbox": [0.0, 0.0, 90.0, 90.0],
            "area": 5000.0,
            "iscrowd": 0,
            "num_keypoints": 3,
            "keypoints": np.c_[rng.integers(0, 90, (3, 2)), [2, 2, 2]].ravel().tolist(),
        }
        for number in range(persons)
    ]
    results = []
    for _ in range(found):
        points = np.reshape(rows[rng.integers(persons)]["keypoints"], (3, 3)).astype(float)
        points[:, :2] += rng.integers(-6, 7, 2)
        score = float(rng.integers(1, 9) / 8)
        results.append(
            {"image_id": 1, "category_id": 1, "keypoints": points.ravel().tolist(), "score": score}
        )
    return Problem([{"id": 1, "crowdIndex": 0.5}], rows, results, keypoints)


def test_blocks_of_pairs_do_not_change_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    from posebench.scoring.matching import oks

    problem = crowded(5, persons=8, found=30)
    whole = matched(problem, MatchRules(), "annotation")
    monkeypatch.setattr(oks, "_PAIRS_AT_ONCE", 7)
    parts = matched(problem, MatchRules(), "annotation")
    for field in ("person", "ignored", "scores", "detection"):
        np.testing.assert_array_equal(getattr(whole, field), getattr(parts, field))


def test_the_papers_split_is_labelled_and_moves_images() -> None:
    problem = crowded(1, persons=4, found=10)
    image = {"id": 1, "crowdIndex": 0.15}
    dataset = dataclasses.replace(problem, images=[image]).dataset("crowdpose", "box")
    table = match(ground_truth(dataset), detections(problem), CROWDPOSE_RULES)
    values = summarise(table, crowdpose_metrics("code") + crowdpose_metrics("paper"))
    assert values["AP(easy)"] is not None and values["AP(medium)"] is None
    assert values["AP(easy, 0.1/0.8)"] is None
    assert values["AP(medium, 0.1/0.8)"] == values["AP(easy)"]


def test_all_official_metrics_are_there_in_their_order() -> None:
    for kind, names in official.METRIC_NAMES.items():
        known = tuple(metric.name for metric in MATCH_METRICS[kind] if metric.name in names)
        assert known == names


def test_a_threshold_is_found_as_people_write_it() -> None:
    problem = crowded(1, persons=4, found=10)
    table = match(ground_truth(problem.dataset("coco", "annotation")), detections(problem))
    at_each = [round(0.5 + 0.05 * step, 2) for step in range(10)]
    recipes = [MatchMetric(f"AP@{value}", "precision", value) for value in at_each]
    assert 0.9 in at_each and 0.9 not in table.rules.thresholds
    values = [value for value in summarise(table, recipes).values() if value is not None]
    whole = summarise(table, [MatchMetric("AP", "precision")])["AP"]
    assert np.mean(values) == pytest.approx(whole, abs=ROUNDING)
    with pytest.raises(EvaluationError, match=r"AP@0\.42 .*0\.42(?s:.*)matched at: 0\.5, 0\.55"):
        summarise(table, [MatchMetric("AP@0.42", "precision", 0.42)])


def test_refusals() -> None:
    problem = crowded(1, persons=2, found=3)
    truth = ground_truth(problem.dataset("coco", "annotation"))
    elsewhere = dataclasses.replace(detections(problem), image_ids=np.array([1, 7, 9]))
    with pytest.raises(EvaluationError, match=r"2 images of .* first: 7, 9"):
        match(truth, elsewhere)
    other = detections_from_results(
        [{"image_id": 1, "category_id": 1, "keypoints": [1.0] * 6, "score": 1.0}], 2
    )
    assert other is not None
    with pytest.raises(EvaluationError, match="have 2 keypoints, the annotations 3"):
        match(truth, other)
    with pytest.raises(EvaluationError, match="crowdIndex"):
        summarise(match(truth, detections(problem)), MATCH_METRICS["crowdpose"])
