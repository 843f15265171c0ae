"""Official scoring: published numbers, perfect and empty predictions, awkward ground truth."""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import io
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posebench.datasets.coco import PoseDataset, ground_truth_instances, load_annotations
from posebench.datasets.keypoints import COCO, CROWDPOSE, KeypointSet
from posebench.errors import EvaluationError
from posebench.prediction.predictions import Predictions
from posebench.scoring import official
from posebench.scoring.data_check import ground_truth_predictions
from posebench.scoring.evaluate import (
    EVALUATORS,
    ScoreChecks,
    ScoringOptions,
    evaluate,
    select_results,
)
from posebench.scoring.official import COCO_METRICS, CROWDPOSE_METRICS, score_official
from posebench.scoring.results_json import read_coco_results, to_coco_results
from posebench.scoring.statistics.estimates import Resampling

NEEDS_XTCOCOTOOLS = pytest.mark.skipif(
    importlib.util.find_spec("xtcocotools") is None, reason="needs xtcocotools (Python < 3.12)"
)
Maker = Callable[..., PoseDataset]
OWN = KeypointSet("own", ("a", "b", "c"), (0.05, 0.1, 0.2), ((0, 1),))


def raw_coco(keypoints: KeypointSet, first_id: int = 1, images: int = 4) -> dict[str, Any]:
    """Return people of medium and large area, two in each image, far apart."""
    rng = np.random.default_rng(3)
    rows = []
    for number in range(2 * images):
        side = 50.0 if number % 2 else 150.0
        corner = np.array([10.0 + 300 * (number % 2), 20.0])
        points = corner + rng.uniform(0.1, 0.9, (len(keypoints), 2)) * side
        rows.append(
            {
                "id": first_id + number,
                "image_id": 1 + number // 2,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": [*corner.tolist(), side, side],
                "area": side * side,
                "num_keypoints": len(keypoints),
                "keypoints": np.c_[points, np.full(len(keypoints), 2.0)].ravel().tolist(),
            }
        )
    return {
        "images": [
            {"id": 1 + i, "file_name": f"{i}.png", "width": 640, "height": 480}
            for i in range(images)
        ],
        "annotations": rows,
        "categories": [{"id": 1, "name": "person", "keypoints": list(keypoints.keypoints)}],
    }


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    def build(raw: dict[str, Any], keypoints: KeypointSet | None = None) -> PoseDataset:
        path = tmp_path / "annotations.json"
        path.write_text(json.dumps(raw))
        return load_annotations(path, tmp_path, keypoints=keypoints)

    return build


def with_crowd_index(raw: dict[str, Any], *values: float) -> dict[str, Any]:
    for image, value in zip(raw["images"], values, strict=True):
        image["crowdIndex"] = value
    return raw


def perfect_results(dataset: PoseDataset) -> list[dict[str, Any]]:
    truth = ground_truth_predictions(dataset, ground_truth_instances(dataset))
    return to_coco_results(truth, truth.bbox_scores)


@pytest.mark.parametrize(("name", "ap", "ar"), [("a", 0.215, 0.246), ("b", 0.074, 0.095)])
def test_real_results_on_coco(shared_dir: Path, name: str, ap: float, ar: float) -> None:
    folder = shared_dir / "data" / "evaluator"
    dataset = load_annotations(folder / "coco_val250_gt.json", folder)
    results = read_coco_results(folder / f"coco_val250_dt_{name}.json", 17)
    metrics = score_official(dataset, results)
    assert tuple(metrics.values) == COCO_METRICS
    assert metrics.values["AP"] == pytest.approx(ap, abs=5e-4)
    assert metrics.values["AR"] == pytest.approx(ar, abs=5e-4)
    assert metrics.evaluator.startswith("pycocotools ")


@NEEDS_XTCOCOTOOLS
def test_the_published_crowdpose_example(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "crowdpose"
    dataset = load_annotations(folder / "example_crowdpose_val.json", folder)
    results = read_coco_results(folder / "example_crowdpose_preds.json", 14)
    metrics = score_official(dataset, results)
    assert tuple(metrics.values) == CROWDPOSE_METRICS
    assert metrics.values["AP"] == pytest.approx(0.78772159358793, abs=1e-12)
    strata = [metrics.values[f"AP({name})"] for name in ("easy", "medium", "hard")]
    assert strata == [1.0, 0.9802, 0.4116]
    assert metrics.evaluator.startswith("xtcocotools ")


def test_straight_use_of_pycocotools_says_the_same(shared_dir: Path) -> None:
    from pycocotools import coco
    from pycocotools.cocoeval import COCOeval

    folder = shared_dir / "data" / "evaluator"
    truth_file, result_file = folder / "coco_val250_gt.json", folder / "coco_val250_dt_a.json"
    with redirect_stdout(io.StringIO()):
        truth = coco.COCO(str(truth_file))
        evaluation = COCOeval(truth, truth.loadRes(str(result_file)), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    metrics = score_official(
        load_annotations(truth_file, folder), read_coco_results(result_file, 17)
    )
    assert list(metrics.values.values()) == evaluation.stats.tolist()


@pytest.mark.parametrize("keypoints", [COCO, OWN])
def test_ground_truth_scores_one(make: Maker, keypoints: KeypointSet) -> None:
    dataset = make(raw_coco(keypoints), keypoints)
    assert set(score_official(dataset, perfect_results(dataset)).values.values()) == {1.0}


@NEEDS_XTCOCOTOOLS
def test_ground_truth_scores_one_by_crowdpose_rules(make: Maker) -> None:
    dataset = make(with_crowd_index(raw_coco(CROWDPOSE), 0.1, 0.5, 0.9, 1.3))
    assert dataset.kind == "crowdpose"
    assert set(score_official(dataset, perfect_results(dataset)).values.values()) == {1.0}


@NEEDS_XTCOCOTOOLS
def test_crowd_strata_split_at_two_and_eight_tenths(make: Maker) -> None:
    dataset = make(with_crowd_index(raw_coco(CROWDPOSE), 0.19, 0.2, 0.79, 0.8))
    only_first = [row for row in perfect_results(dataset) if row["image_id"] == 1]
    values = score_official(dataset, only_first).values
    assert [values[f"AP({name})"] for name in ("easy", "medium", "hard")] == [1.0, 0.0, 0.0]


@NEEDS_XTCOCOTOOLS
def test_empty_crowd_strata_are_none(make: Maker) -> None:
    dataset = make(with_crowd_index(raw_coco(CROWDPOSE), 0.5, 0.5, 0.5, 0.5))
    values = score_official(dataset, perfect_results(dataset)).values
    assert (values["AP(easy)"], values["AP(medium)"], values["AP(hard)"]) == (None, 1.0, None)


@NEEDS_XTCOCOTOOLS
def test_no_results_score_zero(make: Maker) -> None:
    assert set(score_official(make(raw_coco(COCO)), []).values.values()) == {0.0}
    crowd = make(with_crowd_index(raw_coco(CROWDPOSE), 0.1, 0.5, 0.9, 0.9))
    assert set(score_official(crowd, []).values.values()) == {0.0}


def test_no_large_persons_is_none_and_not_zero(make: Maker) -> None:
    raw = raw_coco(COCO)
    raw["annotations"] = [row for row in raw["annotations"] if row["area"] < 96**2]
    dataset = make(raw)
    values = score_official(dataset, perfect_results(dataset)).values
    assert (values["AP(M)"], values["AP(L)"], values["AR(L)"]) == (1.0, None, None)


def test_annotation_id_zero_counts(make: Maker) -> None:
    dataset = make(raw_coco(COCO, first_id=0))
    assert score_official(dataset, perfect_results(dataset)).values["AP"] == 1.0


def test_missing_counts_and_crowd_flags(make: Maker) -> None:
    raw = raw_coco(COCO)
    for row in raw["annotations"]:
        del row["num_keypoints"], row["iscrowd"]
    dataset = make(raw)
    assert score_official(dataset, perfect_results(dataset)).values["AP"] == 1.0


@NEEDS_XTCOCOTOOLS
def test_nothing_is_printed_or_changed(make: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    for dataset in (
        make(raw_coco(COCO)),
        make(with_crowd_index(raw_coco(CROWDPOSE), 0.1, 0.5, 0.9, 0.9)),
    ):
        results = perfect_results(dataset)
        before = copy.deepcopy((dataset.raw, results))
        score_official(dataset, results)
        assert (dataset.raw, results) == before
    assert capsys.readouterr().out == ""


def test_areas_come_from_the_results_boxes(make: Maker) -> None:
    """An unmatched detection counts against AP(M) or AP(L) by the area of its own box."""
    dataset = make(raw_coco(COCO))
    wrong = copy.deepcopy(perfect_results(dataset)[0])
    wrong["keypoints"] = [0.0, 0.0, 1.0] * 17
    wrong["score"] = 2.0
    values = {}
    for side in (50.0, 150.0):
        wrong["bbox"] = [0.0, 0.0, side, side]
        values[side] = score_official(dataset, [wrong, *perfect_results(dataset)]).values
    assert values[50.0]["AP(M)"] < 1.0 and values[50.0]["AP(L)"] == 1.0
    assert values[150.0]["AP(M)"] == 1.0 and values[150.0]["AP(L)"] < 1.0


def test_results_that_do_not_fit(make: Maker) -> None:
    dataset = make(raw_coco(COCO))
    row = perfect_results(dataset)[0]
    with pytest.raises(EvaluationError, match="first 77"):
        score_official(dataset, [{**row, "image_id": 77}])
    with pytest.raises(EvaluationError, match="14 keypoints"):
        score_official(dataset, [{**row, "keypoints": [1.0] * 42}])


NEEDS_FASTER_COCO_EVAL = pytest.mark.skipif(
    importlib.util.find_spec("faster_coco_eval") is None, reason="needs faster-coco-eval"
)


@NEEDS_FASTER_COCO_EVAL
@NEEDS_XTCOCOTOOLS
def test_faster_coco_eval_equals_xtcocotools(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = with_crowd_index(raw_coco(CROWDPOSE, images=40), *np.linspace(0, 1.1, 40).tolist())
    dataset = make(raw)
    results = select_results(dataset, noisy(dataset), ScoringOptions())
    for row in results[::7]:  # xtcocotools leaves these out
        row["keypoints"][2::3] = [0.0] * 14
    theirs = score_official(dataset, results)
    monkeypatch.setitem(sys.modules, "xtcocotools.cocoeval", None)
    other = score_official(dataset, results)
    assert other.values == theirs.values
    assert theirs.evaluator.startswith("xtcocotools") and "faster-coco-eval" in other.evaluator


@NEEDS_FASTER_COCO_EVAL
@NEEDS_XTCOCOTOOLS
@pytest.mark.slow
def test_faster_coco_eval_equals_xtcocotools_on_crowdpose(
    shared_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shared_dir / "data" / "crowdpose"
    dataset = load_annotations(folder / "crowdpose_val.json", folder)
    results = select_results(dataset, noisy(dataset), ScoringOptions())
    theirs = score_official(dataset, results).values
    monkeypatch.setitem(sys.modules, "xtcocotools.cocoeval", None)
    assert score_official(dataset, results).values == theirs


def test_crowdpose_without_an_evaluator(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = make(with_crowd_index(raw_coco(CROWDPOSE), 0.1, 0.5, 0.9, 0.9))
    monkeypatch.setitem(sys.modules, "xtcocotools.cocoeval", None)
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(EvaluationError, match="needs faster-coco-eval or xtcocotools") as caught:
        score_official(dataset, [])
    assert "pip install" in str(caught.value.hint)


def test_importing_the_package_loads_neither_oracle() -> None:
    code = (
        "import sys, posebench.scoring.evaluate\n"
        "print([name for name in sys.modules if name.split('.')[0] in "
        "('xtcocotools', 'pycocotools', 'torch', 'matplotlib', 'pandas')])"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_evaluate_is_rescoring_then_nms_then_scoring(make: Maker) -> None:
    dataset = make(raw_coco(COCO))
    truth = ground_truth_predictions(dataset, ground_truth_instances(dataset))
    names = truth.__dataclass_fields__
    doubled = type(truth)(
        **{name: np.concatenate([getattr(truth, name)] * 2) for name in names if name != "ids"},
        ids=np.arange(2 * len(truth)),
    )
    once = evaluate(dataset, doubled)
    assert len(once.results) == len(truth) and once.metrics.values["AP"] == 1.0
    kept = evaluate(dataset, doubled, ScoringOptions(nms="none"))
    assert len(kept.results) == 2 * len(truth)
    assert once.metrics.values["PCK@0.05"] == 1.0


def noisy(dataset: PoseDataset) -> Predictions:
    """Return the ground truth with noise, so that no number is 0 or 1 by itself."""
    truth = ground_truth_predictions(dataset, ground_truth_instances(dataset))
    rng = np.random.default_rng(5)
    return dataclasses.replace(
        truth,
        keypoints=truth.keypoints + rng.normal(0, 6, truth.keypoints.shape),
        keypoint_scores=rng.uniform(0.3, 1, truth.keypoint_scores.shape),
    )


@pytest.mark.parametrize("keypoints", [COCO, pytest.param(CROWDPOSE, marks=NEEDS_XTCOCOTOOLS)])
def test_evaluate_gives_intervals_and_the_official_numbers(
    make: Maker, keypoints: KeypointSet
) -> None:
    raw = with_crowd_index(raw_coco(keypoints, images=40), *np.linspace(0, 1.1, 40).tolist())
    dataset = make(raw)
    checks = ScoreChecks(Resampling(300), official=True)
    found = evaluate(dataset, noisy(dataset), checks=checks)
    assert found.official is not None and found.estimates is not None
    ours = {name: found.metrics.values[name] for name in found.official.values}
    assert ours == pytest.approx(dict(found.official.values), abs=1e-10)
    assert found.metrics.evaluator == EVALUATORS[dataset.kind]
    for name, estimate in found.estimates.items():
        assert estimate.value == found.metrics.values[name]
        if estimate.value is not None:
            assert estimate.low is not None and estimate.high is not None
            assert estimate.low <= estimate.high
    ap = found.estimates["AP"]
    assert ap.low is not None and ap.high is not None and ap.value is not None
    assert 0 < ap.low < ap.value < ap.high < 1
    plain = evaluate(dataset, noisy(dataset))
    assert (plain.estimates, plain.official) == (None, None)


def test_evaluate_scores_no_predictions(make: Maker) -> None:
    dataset = make(raw_coco(COCO))
    truth = ground_truth_predictions(dataset, ground_truth_instances(dataset))
    names = truth.__dataclass_fields__
    nothing = type(truth)(**{name: getattr(truth, name)[:0] for name in names})
    values = dict(evaluate(dataset, nothing).metrics.values)
    assert values.pop("median error") is values.pop("ECE") is None
    assert set(values.values()) == {0.0}


def test_evaluate_refuses_other_keypoints(make: Maker) -> None:
    dataset, other = make(raw_coco(COCO)), make(raw_coco(OWN), OWN)
    predictions = ground_truth_predictions(other, ground_truth_instances(other))
    with pytest.raises(EvaluationError, match="have 3 keypoints"):
        evaluate(dataset, predictions)


def test_every_kind_has_an_evaluator_and_names() -> None:
    assert set(official.METRIC_NAMES) == set(official._EVALUATORS)
