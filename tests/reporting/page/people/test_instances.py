"""Persons of a pair and their OKS, against the definition; which of them the gallery shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from animal_problems import animal_problem
from report_runs import small_real_run
from small_store import result
from whole_body_problems import in_val_scale

from posebench.datasets.coco import PoseDataset, ground_truth_instances
from posebench.prediction.predictions import Predictions
from posebench.reporting.page.pairs import matched_pairs, protocol_groups, shown_pairs
from posebench.reporting.page.people.gallery import chosen_instances
from posebench.reporting.page.people.instances import (
    PairInstances,
    best_of_each,
    load_run_data,
    most_similar,
    pair_instances,
    scored_detections,
)
from posebench.results.store import StoredCell, read_run
from posebench.scoring.matching.oks import Pairs


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, people: Path) -> PairInstances:
    run = read_run(small_real_run(tmp_path_factory.mktemp("pairs"), people))
    pairs = matched_pairs(protocol_groups(run.cells))
    # At the trained size, and resampled; SimCC cannot run natively at the other size.
    assert [(str(p.cells[0].result.size), p.cells[0].result.policy) for p in pairs] == [
        ("64x48", "native"),
        ("96x80", "resample"),
    ]
    assert shown_pairs(pairs, 6) == [pairs[0]]
    return pair_instances(run, load_run_data(run), pairs[0])


def test_similarity_is_that_of_the_definition(found: PairInstances) -> None:
    truth = found.truth
    assert len(found.persons) == np.count_nonzero(~truth.ignored)
    for side, predictions in enumerate(found.predictions):
        for row, person in enumerate(found.persons):
            assert truth.ids[person] == predictions.ids[row]
            offsets = predictions.keypoints[row].astype(float) - truth.keypoints[person]
            squared = (offsets**2).sum(axis=1) / (2 * truth.sigmas) ** 2
            similar = np.exp(-squared / 2 / truth.areas[person])
            labelled = truth.visibility[person] > 0
            expected = similar[labelled].mean()
            assert found.oks[side, row] == pytest.approx(expected, abs=1e-9)


def test_choices_are_the_extremes(found: PairInstances) -> None:
    chosen = chosen_instances(found, 2)
    assert [choice.kind for choice in chosen] == ["changed", "changed", "worst", "worst"]
    rows = [choice.row for choice in chosen]
    assert len(set(rows)) == 4
    gap = np.abs(found.oks[0] - found.oks[1])
    assert gap[rows[0]] == gap.max()
    assert sorted(gap[rows[:2]]) == sorted(np.sort(gap)[-2:])
    rest = [row for row in range(len(gap)) if row not in rows[:2]]
    mean = found.oks.mean(axis=0)
    assert mean[rows[2]] == mean[rest].min()
    for choice in chosen:
        one, other = (p.keypoints[choice.row] for p in found.predictions)
        apart = np.linalg.norm(one - other, axis=1)
        labelled = found.truth.visibility[found.persons[choice.row]] > 0
        assert labelled[choice.keypoint]
        assert apart[choice.keypoint] == apart[labelled].max()


def test_detected_boxes_have_the_person_that_both_resemble_most() -> None:
    def pairs(*rows: tuple[int, int, float]) -> Pairs:
        detection, person, oks = zip(*rows, strict=True)
        return Pairs(np.array(detection), np.array(person), np.array(oks))

    one = pairs((0, 0, 0.9), (0, 1, 0.5), (1, 1, 0.1), (1, 2, 0.9))
    other = pairs((0, 0, 0.1), (0, 1, 0.6), (1, 1, 0.2), (1, 2, 0.9))
    among = np.array([True, True, False])
    # 0: person 1 with 1.1 before person 0 with 1.0; 1: person 2 does not count; 2: nobody.
    assert most_similar([one, other], 3, among).tolist() == [1, 1, -1]


def test_of_a_persons_instances_the_most_similar_one_stays() -> None:
    persons = np.array([2, -1, 0, 2, 0, 2])
    oks = np.array([0.3, 0.9, 0.1, 0.8, 0.1, 0.8])
    assert np.flatnonzero(best_of_each(persons, oks)).tolist() == [2, 3]


@pytest.mark.parametrize("data", ["one category", "all categories", "whole body"])
def test_what_was_scored_is_found_whatever_its_category(data: str, tmp_path: Path) -> None:
    animals = animal_problem(tmp_path, 3).dataset
    dataset = {
        "one category": animals.categories[-1],
        "all categories": animals,
        "whole body": in_val_scale(2).dataset,
    }[data]
    assert dataset.category.id != 1 or data == "whole body"
    predictions = truth_as_predictions(dataset)
    cell = StoredCell("cell", result(rescoring="bbox", nms="none"))
    found = scored_detections(cell, dataset, predictions)
    assert found.image_ids.tolist() == predictions.image_ids.tolist()
    assert found.keypoints == pytest.approx(predictions.keypoints, abs=1e-4)


def truth_as_predictions(dataset: PoseDataset) -> Predictions:
    people = ground_truth_instances(dataset)
    assert people.keypoints is not None
    return Predictions(
        image_ids=np.array([dataset.images[index].id for index in people.image_index]),
        ids=people.ids,
        keypoints=people.keypoints[..., :2],
        keypoint_scores=np.ones(people.keypoints.shape[:2], dtype=np.float32),
        bbox_xyxy=people.bbox_xyxy,
        bbox_scores=people.bbox_scores,
        areas=np.ones(len(people), dtype=np.float32),
    )
