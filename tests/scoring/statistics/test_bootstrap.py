"""Image weights against images that really stand several times in the data, and coverage."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pose_problems import Problem, duplicated, problems, pycocotools_says

from posebench.scoring.matching.accumulate import summarise
from posebench.scoring.matching.detections import detections_from_results
from posebench.scoring.matching.matching import MatchRules, MatchTable, match
from posebench.scoring.matching.metrics import MATCH_METRICS, MatchMetric, crowdpose_metrics
from posebench.scoring.matching.truth import ground_truth
from posebench.scoring.statistics.bootstrap import (
    left_out_images,
    resampled_images,
    weighted_metrics,
)
from posebench.scoring.statistics.intervals import bca_interval, percentile_interval

AP = (MatchMetric("AP", "precision"), MatchMetric("AR50", "recall", 0.5))
UNROUNDED = tuple(dataclasses.replace(metric, decimals=None) for metric in crowdpose_metrics())


def table_of(problem: Problem, kind: str = "coco") -> MatchTable:
    found = detections_from_results(problem.results, len(problem.keypoints))
    assert found is not None
    dataset = problem.dataset("crowdpose" if kind == "crowdpose" else "coco", "annotation")
    return match(ground_truth(dataset), found, MatchRules(drop_unscored=kind == "crowdpose"))


@settings(max_examples=80, deadline=None)
@given(problems(), st.data())
def test_weights_are_duplicates_to_pycocotools(problem: Problem, data: st.DataObject) -> None:
    table = table_of(problem)
    counts = data.draw(
        st.lists(st.integers(0, 3), min_size=len(table.image_ids), max_size=len(table.image_ids))
    )
    weights = np.array([counts], dtype=np.int32)
    ours = weighted_metrics([table], MATCH_METRICS["coco"], iter([weights]))[0, 0]
    again = duplicated(problem, dict(zip(table.image_ids.tolist(), counts, strict=True)))
    if not again.images:
        assert np.isnan(ours).all()
        return
    theirs = np.array(pycocotools_says(again).stats)
    theirs[theirs < 0] = np.nan
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_equal_scores_of_one_image_take_turns() -> None:
    # Three results of one score, right, wrong, wrong: copies rank them in turns, so the second
    # right one comes fourth. Ranked one result at a time, both right ones would come first.
    rules = MatchRules((0.5,), area_ranges={"all": (0.0, 1e10)})
    person = np.array([[[0, -1, -1]]], dtype=np.int32)
    table = MatchTable(
        rules=rules,
        image_ids=np.array([7]),
        crowd_index=None,
        detection=np.arange(3),
        image=np.zeros(3, dtype=np.int64),
        rank=np.arange(3),
        scores=np.full(3, 0.5),
        person=person,
        ignored=np.zeros(person.shape, dtype=bool),
        person_count=np.array([[1]]),
    )
    twelve = np.array([[2], [0], [1], [12]], dtype=np.int32)
    values = weighted_metrics([table], AP[:1], iter([twelve]))[0, :, 0]
    half = (51 * 1 + 50 * 2 / 4) / 101
    np.testing.assert_allclose(values[:3], [half, np.nan, 1.0], rtol=1e-12)
    hits = np.arange(1, 13)
    precision = hits / (3 * hits - 2)
    expected = precision[np.maximum(np.ceil(12 * np.linspace(0, 1, 101) - 1e-9) - 1, 0).astype(int)]
    assert values[3] == pytest.approx(expected.mean(), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(problems(), st.data())
def test_weights_are_duplicates_in_crowd_strata(problem: Problem, data: st.DataObject) -> None:
    table = table_of(problem, "crowdpose")
    counts = data.draw(
        st.lists(st.integers(1, 3), min_size=len(table.image_ids), max_size=len(table.image_ids))
    )
    weights = np.array([counts], dtype=np.int32)
    ours = weighted_metrics([table], UNROUNDED, iter([weights]))[0, 0]
    again = duplicated(problem, dict(zip(table.image_ids.tolist(), counts, strict=True)))
    values = summarise(table_of(again, "crowdpose"), UNROUNDED).values()
    theirs = [np.nan if value is None else value for value in values]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def simulated(rng: np.random.Generator, images: int) -> MatchTable:
    """Return a match table as a model might have it, whose difficulty varies by image."""
    persons = rng.integers(0, 5, images)
    image = np.repeat(np.arange(images), persons + 2)
    hardness = rng.beta(2, 2, images)[image]
    first = np.concatenate([np.arange(count + 2) < count for count in persons])
    quality = np.where(first, rng.beta(5, 1 + 3 * hardness), 0.0)
    thresholds = (0.5, 0.75)
    hit = quality >= np.array(thresholds)[:, None]
    scores = np.round(quality * 0.5 + rng.random(len(image)) * 0.6, 3)
    order = np.argsort(-scores, kind="stable")
    person = np.where(hit, np.arange(len(image)), -1)[:, None, order].astype(np.int32)
    return MatchTable(
        rules=MatchRules(thresholds, area_ranges={"all": (0.0, 1e10)}),
        image_ids=np.arange(images),
        crowd_index=None,
        detection=order,
        image=image[order],
        rank=np.zeros(len(image), dtype=np.int64),
        scores=scores[order],
        person=person,
        ignored=np.zeros(person.shape, dtype=bool),
        person_count=persons[None],
    )


def only(table: MatchTable, images: np.ndarray) -> MatchTable:
    """Return the table of a sample of distinct images."""
    kept = np.isin(table.image, images)
    place = np.zeros(len(table.image_ids), dtype=np.int64)
    place[images] = np.arange(len(images))
    return dataclasses.replace(
        table,
        image_ids=table.image_ids[images],
        image=place[table.image[kept]],
        person=table.person[..., kept],
        ignored=table.ignored[..., kept],
        scores=table.scores[kept],
        person_count=table.person_count[:, images],
    )


@pytest.mark.parametrize(
    ("trials", "images"), [(120, 80), pytest.param(1000, 200, marks=pytest.mark.slow)]
)
def test_intervals_cover_the_truth_about_95_times_in_100(trials: int, images: int) -> None:
    rng = np.random.default_rng(7)
    population = simulated(rng, 12_000)
    true = list(summarise(population, AP).values())
    hits = np.zeros((2, len(AP)))
    for _ in range(trials):
        sample = only(population, rng.choice(12_000, images, replace=False))
        draws = weighted_metrics([sample], AP, resampled_images(rng, images, 200))[0]
        left = weighted_metrics([sample], AP, left_out_images(images, images))[0]
        for column, value in enumerate(summarise(sample, AP).values()):
            assert value is not None
            bounds = (
                percentile_interval(draws[:, column]),
                bca_interval(draws[:, column], value, left[:, column]),
            )
            for row, found in enumerate(bounds):
                assert found is not None
                hits[row, column] += found[0] <= true[column] <= found[1]
    # Four standard errors of a share of 0.95, and a point for the bootstrap's own error.
    slack = 4 * np.sqrt(0.95 * 0.05 / trials) + 0.01
    assert np.abs(hits / trials - 0.95).max() < slack


def test_the_same_seed_draws_the_same_images_for_all() -> None:
    blocks = [
        np.concatenate(list(resampled_images(np.random.default_rng(3), 50, 70))) for _ in range(2)
    ]
    one, other = blocks
    np.testing.assert_array_equal(one, other)
    assert blocks[0].shape == (70, 50) and (blocks[0].sum(axis=1) == 50).all()
    assert len(np.unique(blocks[0], axis=0)) == 70
    table = simulated(np.random.default_rng(0), 50)
    first, second = weighted_metrics([table, table], AP, iter([blocks[0]]))
    np.testing.assert_array_equal(first, second)


def test_groups_leave_every_image_out_once() -> None:
    weights = np.concatenate(list(left_out_images(103, 40)))
    assert weights.shape == (40, 103)
    np.testing.assert_array_equal((1 - weights).sum(axis=0), np.ones(103))


def test_no_images_drawn_with_persons_is_nan_and_not_zero() -> None:
    table = simulated(np.random.default_rng(0), 30)
    empty = (table.person_count[0] == 0).astype(np.int32)[None]
    assert np.isnan(weighted_metrics([table], AP, iter([empty]))).all()
