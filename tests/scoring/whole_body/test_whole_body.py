"""Every number of whole bodies equals xtcocotools', in any layout, with its interval."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from whole_body_problems import (
    CATEGORIES,
    PARTS,
    WholeBodyProblem,
    in_official_layout,
    whole_body_problem,
    xtcocotools_says_of_parts,
)

from posebench.errors import DataError
from posebench.prediction.predictions import Predictions
from posebench.scoring.evaluate import ScoreChecks, ScoringOptions, evaluate
from posebench.scoring.files import ScoreReport, ScoreRequest, score_files
from posebench.scoring.matching.detections import detections_from_results, no_detections
from posebench.scoring.matching.truth import ground_truth
from posebench.scoring.metrics import matched_table, scored_by, table_values
from posebench.scoring.statistics.estimates import Resampling, image_replicates
from posebench.scoring.statistics.image_table import ImageTable
from posebench.scoring.whole_body.parts import RESULT_LAYOUT

NEEDS_XTCOCOTOOLS = pytest.mark.skipif(
    importlib.util.find_spec("xtcocotools") is None, reason="needs xtcocotools (Python < 3.12)"
)
METRICS = scored_by("wholebody", None)
# What xtcocotools 1.14.3 says of problem 39.
RECORDED = {
    "AP": 0.24483391196262486,
    "AR": 0.34285714285714286,
    "AP(body)": 0.4484323432343234,
    "AR(body)": 0.5333333333333333,
    "AP(foot)": 0.22244224422442244,
    "AR(foot)": 0.45,
    "AP(face)": 0.16534653465346535,
    "AR(face)": 0.22857142857142856,
    "AP(left hand)": 0.13514851485148513,
    "AR(left hand)": 0.15,
    "AP(right hand)": 0.29323432343234324,
    "AR(right hand)": 0.36,
}


def table_of(problem: WholeBodyProblem) -> ImageTable:
    found = no_detections(133)
    if problem.results:
        found = detections_from_results(problem.results, 133, 1, RESULT_LAYOUT)
    return matched_table(ground_truth(problem.dataset), found, "wholebody")


def values_of(problem: WholeBodyProblem) -> dict[str, float]:
    found = table_values(table_of(problem), METRICS)
    return {name: -1.0 if value is None else value for name, value in found.items()}


@NEEDS_XTCOCOTOOLS
@pytest.mark.parametrize(
    "seeds", [range(60), pytest.param(range(60, 300), marks=pytest.mark.slow)], ids=len
)
def test_all_numbers_are_those_of_xtcocotools(seeds: range) -> None:
    for seed in seeds:
        problem = whole_body_problem(seed)
        expected = xtcocotools_says_of_parts(problem)
        assert len(expected) == 60
        assert values_of(problem) == pytest.approx(expected, abs=1e-10, rel=0)


def test_numbers_that_were_recorded() -> None:
    found = values_of(whole_body_problem(39))
    assert {name: found[name] for name in RECORDED} == pytest.approx(RECORDED, abs=1e-10)


def written(folder: Path, problem: WholeBodyProblem, *, official: bool) -> tuple[Path, Path]:
    """Write annotations and results, as 133 values or in the official layout."""
    layout = in_official_layout if official else list
    images = [{**row, "file_name": f"{row['id']}.jpg", "width": 640, "height": 480}
              for row in problem.images]  # fmt: skip
    annotations, results = folder / f"ann{official}.json", folder / f"results{official}.json"
    document = {
        "images": images,
        "annotations": layout(problem.persons),
        "categories": [{**CATEGORIES[0], "keypoints": [f"body {i}" for i in range(17)]}],
    }
    annotations.write_text(json.dumps(document))
    results.write_text(json.dumps(layout(problem.results)))
    return annotations, results


def scored(annotations: Path, *results: Path, official: bool = False) -> ScoreReport:
    return score_files(
        ScoreRequest(
            results,
            annotations,
            dataset="coco-wholebody",
            official=official,
            resampling=Resampling(50),
        )
    )


def joined(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**row, "keypoints": [number for name in PARTS for number in row[name]]} for row in rows
    ]


def sound_problem() -> WholeBodyProblem:
    """Return a problem with several images, persons and results."""
    found = map(whole_body_problem, range(100))
    return next(p for p in found if len(p.images) > 3 and len(p.persons) > 5 and p.results)


def test_both_layouts_of_both_files_score_alike(tmp_path: Path) -> None:
    problem, reports = sound_problem(), []
    for official in (False, True):
        annotations, results = written(tmp_path, problem, official=official)
        for file in (results, tmp_path / "resultsFalse.json"):
            reports.append(scored(annotations, file).scores[0].metrics)
    assert all(report == reports[0] for report in reports)
    for name, estimate in reports[0].items():
        expected = values_of(problem)[name]
        assert (-1.0 if estimate.value is None else estimate.value) == expected
        assert estimate.value is None or estimate.low is not None


@NEEDS_XTCOCOTOOLS
def test_the_official_evaluator_is_asked(tmp_path: Path) -> None:
    annotations, results = written(tmp_path, sound_problem(), official=True)
    score = scored(annotations, results, official=True).scores[0]
    assert score.official_evaluator.startswith("xtcocotools")
    ours = {name: estimate.value for name, estimate in score.metrics.items()}
    assert ours == pytest.approx(score.official, abs=1e-10)


def test_results_of_another_body_are_refused(tmp_path: Path) -> None:
    problem = sound_problem()
    annotations, results = written(tmp_path, problem, official=False)
    rows = json.loads(results.read_text())
    results.write_text(json.dumps([{**row, "keypoints": row["keypoints"][:51]} for row in rows]))
    with pytest.raises(DataError, match="keypoints"):
        scored(annotations, results)


def test_a_weight_is_worth_copies_of_an_image() -> None:
    problem = sound_problem()
    counts = {image["id"]: 1 + number % 3 for number, image in enumerate(problem.images)}
    copies = WholeBodyProblem(
        *(
            [
                {**row, key: 1000 * row[key] + number}
                for row in rows
                for number in range(counts[row[key]])
            ]
            for rows, key in (
                (problem.images, "id"),
                (problem.persons, "image_id"),
                (problem.results, "image_id"),
            )
        )
    )
    copied = [{**row, "id": number} for number, row in enumerate(copies.persons, start=1)]
    expected = values_of(WholeBodyProblem(copies.images, copied, copies.results))
    table = table_of(problem)
    weights = np.array([[counts[key] for key in table.matches.image_ids.tolist()]], dtype=np.int32)
    from posebench.scoring.statistics import estimates

    found = estimates._weighted([table], METRICS, iter([weights]))[0, 0]
    for metric, value in zip(METRICS, found, strict=True):
        assert (-1.0 if np.isnan(value) else value) == pytest.approx(expected[metric.name])


def test_predictions_are_scored_as_their_file_is() -> None:
    problem = sound_problem()
    dataset = problem.dataset
    rows = [row for row in problem.persons if row["num_keypoints"] and not row["iscrowd"]]
    triplets = np.reshape([row["keypoints"] for row in rows], (len(rows), 133, 3))
    boxes = np.array([row["bbox"] for row in rows], dtype=np.float32)
    boxes[:, 2:] += boxes[:, :2]
    predictions = Predictions(
        image_ids=np.array([row["image_id"] for row in rows]),
        ids=np.array([row["id"] for row in rows]),
        keypoints=triplets[..., :2] + 1.5,
        keypoint_scores=np.full((len(rows), 133), 0.6),
        bbox_xyxy=boxes,
        bbox_scores=np.linspace(0.5, 1, len(rows), dtype=np.float32),
        areas=np.full(len(rows), 2000, dtype=np.float32),
    )
    found = evaluate(dataset, predictions, ScoringOptions(nms="none"), ScoreChecks(Resampling(20)))
    assert [*found.metrics.values][:60] == [metric.name for metric in METRICS]
    assert found.metrics.evaluator == "posebench, COCO-WholeBody rules"
    # MMPose writes the parts and no box, so that areas are those of the body.
    assert {len(row["keypoints"]) for row in found.results} == {51}
    assert all(len(row["face_kpts"]) == 204 and "bbox" not in row for row in found.results)
    again = values_of(WholeBodyProblem(problem.images, problem.persons, joined(found.results)))
    values = {name: found.metrics.values[name] for name in again}
    assert {name: -1.0 if value is None else value for name, value in values.items()} == again
    draws = image_replicates([found.table], METRICS, 20, np.random.default_rng(0))
    assert draws.shape == (1, 20, 60)
