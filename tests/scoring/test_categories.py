"""Categories that are evaluated together: the mean of pycocotools, in values and resamples."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from animal_problems import animal_problem

from posebench.datasets.boxes import detected_instances
from posebench.datasets.categories import EVERY
from posebench.datasets.coco import load_dataset
from posebench.datasets.known.record import known_dataset
from posebench.datasets.rules import LoadOptions
from posebench.errors import DataError
from posebench.results.image_tables import load_table, save_table
from posebench.scoring.evaluate import ScoreChecks, ScoringOptions, evaluate
from posebench.scoring.matching.metrics import COCO_METRICS, mean_of_categories
from posebench.scoring.metrics import table_values
from posebench.scoring.statistics.bootstrap import weighted_metrics
from posebench.scoring.statistics.estimates import Resampling, image_replicates


def test_numbers_are_those_of_pycocotools_over_all_categories(tmp_path: Path) -> None:
    several = 0
    for seed in range(24):
        problem = animal_problem(tmp_path, seed)
        checks = ScoreChecks(official=True)
        found = evaluate(problem.dataset, problem.predictions, checks=checks)
        assert found.official is not None
        for name, value in found.official.values.items():
            assert found.metrics.values[name] == pytest.approx(value, abs=1e-10), (seed, name)
        several += len(problem.dataset.together) > 1
    assert several > 12


def test_nms_compares_animals_of_all_species(tmp_path: Path) -> None:
    """As in MMPose; by species, both of two that lie in one place stay."""
    problem = next(
        p
        for seed in range(100)
        for p in [animal_problem(tmp_path, seed)]
        if len(evaluate(p.dataset, p.predictions).results) < len(p.predictions)
        and len(p.dataset.together) > 1
    )
    rows = evaluate(problem.dataset, problem.predictions).results
    known = {row["id"]: row["category_id"] for row in problem.dataset.persons}
    free = evaluate(problem.dataset, problem.predictions, ScoringOptions(nms="none")).results
    assert sorted(row["category_id"] for row in free) == sorted(
        known[key] for key in problem.predictions.ids.tolist()
    )
    assert len(rows) < len(free)


def test_resamples_are_means_over_the_categories(tmp_path: Path) -> None:
    problem = animal_problem(tmp_path, 4)
    found = evaluate(problem.dataset, problem.predictions, checks=ScoreChecks(Resampling(20)))
    assert len(found.table.categories) == len(problem.dataset.together) > 1
    draws = image_replicates([found.table], COCO_METRICS, 20, np.random.default_rng(0))[0]
    rng = np.random.default_rng(0)
    images = found.table.images
    for draw in draws:
        weights = np.bincount(rng.integers(images, size=images), minlength=images)[None]
        each = [
            weighted_metrics([table], COCO_METRICS, iter([weights.astype(np.int32)]))[0, 0]
            for table in found.table.categories.values()
        ]
        rows = [
            {m.name: None if np.isnan(v) else v for m, v in zip(COCO_METRICS, row, strict=True)}
            for row in each
        ]
        wanted = [np.nan if v is None else v for v in mean_of_categories(rows).values()]
        np.testing.assert_allclose(draw, wanted, atol=1e-12)
    key = save_table(tmp_path, found.table)
    again = table_values(load_table(tmp_path, key), COCO_METRICS)
    assert again == {name: found.metrics.values[name] for name in again}


def test_a_named_category_is_evaluated_alone_and_boxes_need_one(tmp_path: Path) -> None:
    problem = animal_problem(tmp_path, 4)
    assert problem.dataset.category.id == EVERY
    assert str(problem.dataset.category).startswith("all ")
    first = problem.dataset.together[0]
    options = LoadOptions(known=known_dataset("ap10k"), category=str(first.id))
    alone = load_dataset(problem.path, tmp_path, options)
    assert (alone.category.id, alone.together) == (first.id, ())
    rows = [row for row in problem.dataset.persons if row["category_id"] == first.id]
    assert alone.persons == rows
    with pytest.raises(DataError, match="evaluated together"):
        detected_instances(problem.dataset, tmp_path / "boxes.json")
    assert dataclasses.replace(problem.dataset, together=()).categories[0].together == ()
