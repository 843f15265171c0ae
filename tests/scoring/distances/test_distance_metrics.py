"""PCKh, PCK, AUC, EPE and NME against their definitions, and their intervals against copies."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from distance_problems import NAMES, DistanceProblem, by_definition, distance_problem

from posebench.datasets.known.record import known_dataset
from posebench.errors import DataError
from posebench.prediction.predictions import Predictions
from posebench.scoring.distances.measuring import Found, distance_recipes, distance_tables
from posebench.scoring.distances.recipes import DISTANCE_METRICS
from posebench.scoring.evaluate import Evaluation, ScoreChecks, evaluate
from posebench.scoring.localisation import detections_of
from posebench.scoring.matching.truth import ground_truth
from posebench.scoring.metrics import METRICS, matched_table
from posebench.scoring.statistics.estimates import Resampling, image_replicates
from posebench.scoring.statistics.image_table import ErrorTable, ImageTable
from posebench.scoring.statistics.weighted_distances import distance_value, distance_values

PROBLEMS = 300


def table_of(problem: DistanceProblem, **found: Any) -> ImageTable:
    """Return a problem's distances, by ids unless `found` says otherwise."""
    dataset, truth = problem.dataset, ground_truth(problem.dataset)
    detections = detections_of(problem.predictions)
    given = Found(detections, **(found or {"ids": problem.predictions.ids}))
    table = matched_table(truth, detections, dataset.kind)
    return dataclasses.replace(table, distances=distance_tables(dataset, truth, given))


def rows_of(predictions: Predictions, rows: np.ndarray) -> Predictions:
    fields = (each.name for each in dataclasses.fields(Predictions))
    return Predictions(*(getattr(predictions, name)[rows] for name in fields))


def values_of(problem: DistanceProblem, table: ImageTable) -> dict[str, float]:
    """Return the metrics of a problem's data set; -1 where nothing counts, as oracles say it."""
    recipes = distance_recipes(problem.dataset.distances)
    found = {recipe.name: distance_value(table, recipe) for recipe in recipes}
    return {name: -1 if value is None else value for name, value in found.items()}


@pytest.mark.parametrize("seed", range(PROBLEMS))
def test_every_metric_is_what_it_is_defined_to_be(seed: int) -> None:
    problem = distance_problem(NAMES[seed % len(NAMES)], seed)
    expected = by_definition(problem)
    counted = {name: value for name, value in expected.items() if name not in ("NME", "EPE")}
    found = values_of(problem, table_of(problem))
    assert found.keys() == expected.keys()
    assert [found[name] for name in counted] == pytest.approx([*counted.values()], abs=1e-10, rel=0)
    for name in expected.keys() - counted.keys():
        if expected[name] or found[name] != -1:  # MMPose says 0 of nothing
            assert found[name] == pytest.approx(expected[name], abs=1e-10, rel=0)


def test_closed_forms() -> None:
    problem = distance_problem("onehand10k", 3)
    moved = dataclasses.replace(
        problem.predictions,
        keypoints=problem.instances.keypoints[..., :2].astype(np.float64) + np.array([6.0, 8.0]),
    )
    found = values_of(problem, table_of(DistanceProblem(problem.dataset, moved)))
    # 10 of 30 pixels: right at the thresholds above a third, 7/20 to 19/20.
    assert found["AUC"] == pytest.approx(13 / 20)
    assert found["EPE"] == pytest.approx(10)


def test_a_perfect_model_scores_best() -> None:
    for name in NAMES:
        problem = distance_problem(name, 5)
        labels = problem.instances.keypoints[..., :2].astype(np.float64)
        perfect = dataclasses.replace(problem.predictions, keypoints=labels)
        found = values_of(problem, table_of(DistanceProblem(problem.dataset, perfect)))
        for metric, value in found.items():
            best = 0.0 if METRICS[metric].better == "lower" else 0.95 if metric == "AUC" else 1.0
            assert value == pytest.approx(best) or value == -1, (name, metric)


@pytest.mark.parametrize("name", NAMES)
def test_a_weight_is_worth_copies_of_an_image(name: str) -> None:
    problem = distance_problem(name, 17)
    table, rng = table_of(problem), np.random.default_rng(2)
    recipes = distance_recipes(problem.dataset.distances)
    weights = rng.integers(0, 4, (6, table.images), dtype=np.int32)
    weights[0] = 1
    found = distance_values([table], recipes)(weights)[0]
    for row, counts in zip(found, weights, strict=True):
        copied = {
            scale: ErrorTable(
                each.keypoints,
                np.repeat(each.image, counts[each.image]),
                np.repeat(each.errors, counts[each.image], axis=0),
            )
            for scale, each in table.distances.items()
        }
        copies = dataclasses.replace(table, distances=copied)
        expected = [distance_value(copies, recipe) for recipe in recipes]
        assert row.tolist() == pytest.approx(
            [np.nan if value is None else value for value in expected], nan_ok=True
        )


def several(name: str) -> Iterator[DistanceProblem]:
    return (distance_problem(name, seed) for seed in range(100))


def evaluated(problem: DistanceProblem, **options: Any) -> Evaluation:
    checks = ScoreChecks(Resampling(200, **options))
    return evaluate(problem.dataset, problem.predictions, checks=checks)


@pytest.mark.parametrize("interval", ["percentile", "bca"])
def test_evaluations_have_every_number_with_its_interval(interval: str) -> None:
    for name in NAMES:
        problem = next(p for p in several(name) if len(p.dataset.images) > 4)
        found = evaluated(problem, interval=interval)
        assert [*found.metrics.values][: len(problem.dataset.distances.metrics)] == [
            *problem.dataset.distances.metrics
        ]
        assert "ECE" not in found.metrics.values and "PCK@0.1" in found.metrics.values
        main = problem.dataset.distances.metrics[0]
        estimate = found.estimates[main]
        assert estimate.value == found.metrics.values[main] is not None
        assert estimate.low < estimate.value < estimate.high, name


def test_resamples_are_those_of_the_images() -> None:
    problem = distance_problem("300w", 8)
    table, recipe = table_of(problem), DISTANCE_METRICS["NME"]
    draws = image_replicates([table], [recipe], 50, np.random.default_rng(4))[0, :, 0]
    rng = np.random.default_rng(4)
    sample = rng.integers(table.images, size=(50, table.images))
    errors = table.distances["face"]
    for value, images in zip(draws, sample, strict=True):
        rows = np.concatenate([errors.errors[errors.image == image] for image in images])
        counted = rows[~np.isnan(rows)]
        assert value == pytest.approx(counted.mean() if counted.size else np.nan, nan_ok=True)


def test_predictions_find_their_person_by_id_by_box_or_by_likeness() -> None:
    problem = distance_problem("onehand10k", 11)
    by_id = table_of(problem)
    order = np.random.default_rng(0).permutation(len(problem.predictions))
    shuffled = Predictions(
        *(
            getattr(problem.predictions, each.name)[order]
            for each in dataclasses.fields(Predictions)
        )
    )
    other = DistanceProblem(problem.dataset, shuffled)
    boxes = shuffled.bbox_xyxy.astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    for table in (table_of(other), table_of(other, bbox_xywh=boxes)):
        for scale, errors in by_id.distances.items():
            np.testing.assert_array_equal(table.distances[scale].errors, errors.errors)
    # Poses that say nothing of themselves go to the person they are most like.
    near = dataclasses.replace(
        shuffled, keypoints=problem.instances.keypoints[order, :, :2].astype(np.float64) + 0.25
    )
    found = table_of(DistanceProblem(problem.dataset, near), ids=None)
    labelled = ~np.isnan(found.distances["pixels"].errors)
    assert found.distances["pixels"].errors[labelled].max() == pytest.approx(
        np.sqrt(0.125), rel=1e-5
    )


def test_a_person_without_a_result_is_a_miss_and_leaves_means_without_a_value() -> None:
    problem = distance_problem("onehand10k", 11)
    kept = np.flatnonzero(problem.predictions.image_ids != problem.predictions.image_ids[0])
    rest = rows_of(problem.predictions, kept)
    whole, part = table_of(problem), table_of(DistanceProblem(problem.dataset, rest))
    assert distance_value(part, DISTANCE_METRICS["EPE"]) is None
    share = DISTANCE_METRICS["mPCK@0.2"]
    assert distance_value(part, share) < distance_value(whole, share)
    weights = np.ones((2, part.images), dtype=np.int32)
    weights[1, part.distances["pixels"].image[np.isinf(part.distances["pixels"].errors).any(1)]] = 0
    draws = distance_values([part], [DISTANCE_METRICS["EPE"]])(weights)[0, :, 0]
    assert np.isnan(draws[0]) and np.isfinite(draws[1])


def test_nobody_gets_the_result_of_someone_else() -> None:
    problem = next(
        p for p in several("onehand10k") if (np.bincount(p.instances.image_index) > 1).any()
    )
    index = problem.instances.image_index
    lost = int(np.flatnonzero(index == np.bincount(index).argmax())[0])
    rest = rows_of(problem.predictions, np.delete(np.arange(len(index)), lost))
    boxes = rest.bbox_xyxy.astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    whole = table_of(problem).distances["pixels"].errors
    labelled = ~np.isnan(whole[lost])
    for found in ({"bbox_xywh": boxes}, {"ids": None}):
        errors = (
            table_of(DistanceProblem(problem.dataset, rest), **found).distances["pixels"].errors
        )
        missed = np.isinf(errors).any(axis=1)
        assert missed.sum() == 1
        if "bbox_xywh" in found:
            assert np.isinf(errors[lost, labelled]).all()
            np.testing.assert_array_equal(np.delete(errors, lost, 0), np.delete(whole, lost, 0))


def test_a_missing_size_is_named() -> None:
    problem = distance_problem("mpii", 2)
    for row in problem.dataset.persons:
        row.pop("head_size")
    with pytest.raises(DataError, match=r"has no head_size, which PCKh@0\.5 is relative to"):
        table_of(problem)


def test_records_name_metrics_that_there_are() -> None:
    for name in NAMES:
        for metric in known_dataset(name).distances.metrics:
            assert metric in METRICS
